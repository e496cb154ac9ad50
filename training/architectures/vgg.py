"""VGG-small, on which networks with weights of few bits are compared."""

from torch import nn

from hiddenite.training.architectures.common import (
    block,
    check_arguments,
    classifier,
    scaled,
    sequence,
)


def vgg_small(factory, *, shape, classes, width=1.0):
    """Return the VGG-small of Cai et al. (2017): six 3x3 convolutions and a full layer.

    Parameters
    ----------
    factory : LayerFactory
        Makes its layers.
    shape : (int, int, int)
        (H, W, C) of an image, at least 8x8.
    classes : int
        Number of logits.
    width : float
        Multiplies the numbers of channels, which are rounded to integers of at least 1.

    Returns
    -------
    nn.Module
        From bytes / 255, (N, C, H, W), to logits, (N, classes).

    Raises
    ------
    InputError
        An argument breaks one of these rules.

    References
    ----------
    Z. Cai, X. He, J. Sun, N. Vasconcelos, "Deep learning with low precision by half-wave Gaussian
    quantization", CVPR 2017, https://arxiv.org/abs/1702.00953
    """
    check_arguments("vgg_small", shape, classes, width, smallest=8)
    height, image_width, channels = shape
    layers = {}
    for stage, unscaled in enumerate((128, 256, 512), 1):
        out_channels = scaled(unscaled, width)
        layers[f"stage{stage}_layer1"] = block(factory, channels, out_channels)
        layers[f"stage{stage}_layer2"] = block(factory, out_channels, out_channels)
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
        channels = out_channels
    map_size = height // 8, image_width // 8
    return sequence(**layers, classifier=classifier(factory, channels, classes, map_size=map_size))
