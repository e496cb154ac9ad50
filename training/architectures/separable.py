"""Networks of depthwise and pointwise convolutions, for small devices.

References
----------
A. Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
applications", 2017, https://arxiv.org/abs/1704.04861
M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018,
https://arxiv.org/abs/1801.04381
C. Banbury et al., "MLPerf Tiny benchmark", 2021, https://arxiv.org/abs/2106.07597
"""

from torch import nn

from hiddenite.training.architectures.common import (
    RESIDUAL_GAMMA,
    block,
    check_arguments,
    classifier,
    scaled,
    sequence,
)

V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2))
"""Channels and stride of MobileNet's separable convolutions, but for the last one."""

V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Factor of the inner channels, channels, blocks and first stride of MobileNetV2's stages."""


def _depthwise(factory, channels, stride=1):
    """Return a 3x3 convolution of each channel by itself, with all that is behind it."""
    conv = factory.conv(channels, channels, 3, stride=stride, padding=1, groups=channels)
    return sequence(conv=conv, norm=nn.BatchNorm2d(channels), activation=factory.activation())


def _separable(factory, in_channels, out_channels, stride=1):
    return sequence(
        depthwise=_depthwise(factory, in_channels, stride),
        pointwise=block(factory, in_channels, out_channels, 1),
    )


def _average_and_classifier(factory, channels, classes):
    return {
        "average": nn.AdaptiveAvgPool2d(1),
        # The hardware rounds averages to 8 bits as well.
        "average_activation": factory.activation(),
        "classifier": classifier(factory, channels, classes),
    }


def ds_cnn(factory, *, shape, classes, width=1.0):
    """Return MLPerf Tiny's network for keywords: 22,016 weights for 12 classes of 49x10x1 images.

    Parameters
    ----------
    factory : LayerFactory
        Makes its layers.
    shape : (int, int, int)
        (H, W, C) of an image, such as 49 frames of 10 cepstral coefficients.
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
    """
    check_arguments("ds_cnn", shape, classes, width, smallest=1)
    channels = scaled(64, width)
    first = factory.conv(shape[2], channels, (10, 4), stride=2, padding=(4, 1, 5, 2))
    layers = {
        "layer1": sequence(
            conv=first, norm=nn.BatchNorm2d(channels), activation=factory.activation()
        )
    }
    for number in range(2, 6):
        layers[f"layer{number}"] = _separable(factory, channels, channels)
    return sequence(**layers, **_average_and_classifier(factory, channels, classes))


def mobilenet_v1(factory, *, shape, classes, width=1.0):
    """Return MobileNet; with width 0.25 it is MLPerf Tiny's network for 96x96x3 images.

    Parameters
    ----------
    factory, shape, classes, width
        As in `ds_cnn`.

    Returns
    -------
    nn.Module
        From bytes / 255, (N, C, H, W), to logits, (N, classes).

    Raises
    ------
    InputError
        An argument breaks one of these rules.
    """
    check_arguments("mobilenet_v1", shape, classes, width, smallest=1)
    channels = scaled(32, width)
    layers = {"layer1": block(factory, shape[2], channels, stride=2)}
    for number, (count, stride) in enumerate((*V1, (1024, 1)), 2):
        before, channels = channels, scaled(count, width)
        layers[f"layer{number}"] = _separable(factory, before, channels, stride)
    return sequence(**layers, **_average_and_classifier(factory, channels, classes))


class InvertedResidual(nn.Module):
    """A block of MobileNetV2, whose result has no rectifier.

    Parameters
    ----------
    factory : LayerFactory
        Makes its layers.
    in_channels, out_channels : int
        Of the map that comes in, and of its result. Where they are equal and there is no stride,
        the input is added.
    expansion : int
        Inner channels for each of the input's.
    stride : int
        Of the depthwise convolution.
    """

    def __init__(self, factory, in_channels, out_channels, expansion, stride):
        super().__init__()
        inner = expansion * in_channels
        layers = {} if expansion == 1 else {"expand": block(factory, in_channels, inner, 1)}
        self.branch = sequence(
            **layers,
            depthwise=_depthwise(factory, inner, stride),
            conv=factory.conv(inner, out_channels, 1),
            norm=nn.BatchNorm2d(out_channels),
        )
        self.is_residual = stride == 1 and in_channels == out_channels
        if self.is_residual:
            nn.init.constant_(self.branch.norm.weight, RESIDUAL_GAMMA)
        self.quantizer = factory.signed()

    def forward(self, x):
        y = self.branch(x)
        return self.quantizer(y + x if self.is_residual else y)


def mobilenet_v2(factory, *, shape, classes, width=1.0):
    """Return MobileNetV2: depthwise convolutions between linear bottlenecks.

    Parameters
    ----------
    factory, shape, classes, width
        As in `ds_cnn`.

    Returns
    -------
    nn.Module
        From bytes / 255, (N, C, H, W), to logits, (N, classes).

    Raises
    ------
    InputError
        An argument breaks one of these rules.
    """
    check_arguments("mobilenet_v2", shape, classes, width, smallest=1)
    channels = scaled(32, width)
    layers = {"layer1": block(factory, shape[2], channels, stride=2)}
    for stage, (expansion, count, blocks, stride) in enumerate(V2, 1):
        for position in range(blocks):
            before, channels = channels, scaled(count, width)
            layers[f"stage{stage}_block{position + 1}"] = InvertedResidual(
                factory, before, channels, expansion, 1 if position else stride
            )
    last = scaled(1280, width)
    layers["layer2"] = block(factory, channels, last, 1)
    return sequence(**layers, **_average_and_classifier(factory, last, classes))
