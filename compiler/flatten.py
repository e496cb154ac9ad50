"""The image as one pixel, where all that read it are fully connected.

A word of the activation memory has channels of one pixel. An image of few channels fills words
badly: a layer that covers all of it takes as many steps, and as many words of the tile buffer, as
there are pixels. As channels of one pixel, the same bytes in the same order fill words.
"""

from dataclasses import replace

from hiddenite.golden.network import Conv, Input, Layer, Network
from hiddenite.golden.weights import WORD_BITS
from hiddenite.rtl.configuration import Configuration

__all__ = ["flatten"]


def flatten(network: Network, c: Configuration) -> Network:
    """Return a network with the same results whose image is one pixel, or the network itself."""
    image = network.input
    height, width, channels = image.shape
    size = height * width * channels
    readers = [layer for layer in network.layers if image.name in layer.inputs]
    if height * width == 1 or channels % c.ich == 0 or size > c.largest_channels:
        return network
    if not all(_covers(layer, image) for layer in readers):
        return network
    return replace(
        network,
        input=replace(image, height=1, width=1, channels=size),
        layers=tuple(
            _flattened(layer) if image.name in layer.inputs else layer for layer in network.layers
        ),
    )


def _covers(layer: Layer, image: Input) -> bool:
    """Whether a layer is a conv whose weights are those of an image of one pixel."""
    return (
        isinstance(layer, Conv)
        and layer.input == image.name != layer.residual
        and layer.kernel == layer.span == image.shape[:2]
        and not any(layer.padding)
        and layer.groups == 1
        # Generated signs begin a row with a fresh word of the generator.
        and (
            layer.sign is not None
            or image.height == 1
            or image.width * image.channels % WORD_BITS == 0
        )
    )


def _flattened(layer: Layer) -> Conv:
    assert isinstance(layer, Conv)
    shape = layer.out_channels, 1, 1, -1
    return replace(
        layer,
        kernel=(1, 1),
        stride=(1, 1),
        dilation=(1, 1),
        mask=layer.mask.reshape(shape),
        sign=None if layer.sign is None else layer.sign.reshape(shape),
    )
