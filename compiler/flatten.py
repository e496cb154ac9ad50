"""The image as one pixel, where in the end all that read it are fully connected.

A word of the activation memory has channels of one pixel. An image of few channels fills words
badly: a layer that covers all of it takes as many steps, and as many words of the tile buffer, as
there are pixels. As channels of one pixel, the same bytes in the same order fill words. What a conv
of 1x1 makes of each pixel, it then makes of a group of channels.
"""

from dataclasses import replace

import numpy as np

from hiddenite.golden.network import Conv, Layer, Network
from hiddenite.golden.weights import WORD_BITS
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import ChannelRecord, words_of

from .weight_signs import negative_weights

__all__ = ["flatten"]


def flatten(network: Network, c: Configuration) -> Network:
    """Return a network with the same results whose image is one pixel, or the network itself."""
    image = network.input
    height, width, channels = image.shape
    if height * width == 1 or channels % c.ich == 0:
        return network
    flat = _flat_tensors(network)
    most = max((height * width * _channels(network, name) for name in flat), default=0)
    if not flat or most > c.largest_channels or not _pays(network, flat, c):
        return network

    def flattened(layer: Layer) -> Layer:
        if not flat.intersection(layer.inputs):
            return layer
        assert isinstance(layer, Conv)
        return _pixels(layer, height * width, network.seed) if layer.name in flat else _one(layer)

    size = height * width * channels
    return replace(
        network,
        input=replace(image, height=1, width=1, channels=size),
        layers=tuple(map(flattened, network.layers)),
    )


def _channels(network: Network, name: str) -> int:
    return network.input.channels if name == network.input.name else network.shapes[name][2]


def _flat_tensors(network: Network) -> set[str]:
    """Tensors that become one pixel: the image and what convs of 1x1 make of it; or none."""
    size = network.input.shape[:2]
    flat = {network.input.name}
    for layer in network.layers:
        reads = flat.intersection(layer.inputs)
        if not reads:
            continue
        if reads != {layer.inputs[0]} or not isinstance(layer, Conv):
            return set()
        if _is_pointwise(layer):
            flat.add(layer.name)
        elif not _covers(layer, (*size, _channels(network, layer.input))):
            return set()
    return set() if network.layers[-1].name in flat else flat


def _pays(network: Network, flat: set[str], c: Configuration) -> bool:
    """Whether the words that lanes construct less take longer than the records that come besides.

    A conv of 1x1 has a record for each channel, and then for each channel of each pixel.
    """
    pixels = network.input.height * network.input.width
    words = records = 0
    for layer in network.layers:
        if isinstance(layer, Conv) and layer.input in flat:
            if layer.name in flat:
                records += (pixels - 1) * layer.out_channels
            else:
                channels = _channels(network, layer.input)
                filled = -(-pixels * channels // c.ich)
                words += (pixels * -(-channels // c.ich) - filled) * layer.out_channels
    record_words = words_of(ChannelRecord(c), c.program_bits)
    return words // c.constructor_lanes >= records * record_words


def _is_pointwise(conv: Conv) -> bool:
    """Whether each pixel of the output is made of the same pixel of the input, and of no other."""
    return (
        conv.kernel == conv.span == conv.strides == (1, 1)
        and not any(conv.padding)
        and conv.residual is None
    )


def _covers(conv: Conv, shape: tuple[int, int, int]) -> bool:
    """Whether a conv's weights are those of an input of one pixel."""
    height, width, channels = shape
    return (
        conv.kernel == conv.span == (height, width)
        and not any(conv.padding)
        and conv.groups == 1
        # Generated signs begin a row with a fresh word of the generator.
        and (conv.sign is not None or height == 1 or width * channels % WORD_BITS == 0)
    )


def _one(conv: Conv) -> Conv:
    """A fully connected layer, of one pixel."""
    shape = conv.out_channels, 1, 1, -1
    return replace(
        conv,
        kernel=(1, 1),
        stride=(1, 1),
        dilation=(1, 1),
        mask=conv.mask.reshape(shape),
        sign=None if conv.sign is None else conv.sign.reshape(shape),
    )


def _pixels(conv: Conv, pixels: int, seed: int) -> Conv:
    """A conv of 1x1, with groups of channels in place of so many pixels."""

    def repeated(values: np.ndarray) -> np.ndarray:
        return np.tile(values, (pixels, *[1] * (values.ndim - 1)))

    return replace(
        conv,
        out_channels=pixels * conv.out_channels,
        groups=pixels * conv.groups,
        mask=repeated(conv.mask),
        sign=repeated(negative_weights(conv, seed)),
        scale=repeated(conv.scale),
        bias=repeated(conv.bias),
    )
