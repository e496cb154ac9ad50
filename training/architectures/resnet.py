"""Residual networks (He et al., 2015) for small images and for large ones.

References
----------
K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016,
https://arxiv.org/abs/1512.03385
"""

from torch import nn

from hiddenite.training.architectures.common import (
    Residual,
    block,
    check_arguments,
    classifier,
    convolution,
    scaled,
    sequence,
)

LARGEST_SMALL_IMAGE = 64
"""Images of at most so many pixels in height and width keep their size in the first layers."""

EXPANSION = 4
"""Output channels of a bottleneck for each of its inner ones."""


def _basic(factory, in_channels, channels, stride):
    """Return the branch of a basic block, and its number of output channels."""
    branch = sequence(
        layer1=block(factory, in_channels, channels, stride=stride),
        layer2=convolution(factory, channels, channels),
    )
    return branch, channels


def _bottleneck(factory, in_channels, channels, stride):
    """Return the branch of a bottleneck, which strides in its 3x3 convolution."""
    out_channels = EXPANSION * channels
    branch = sequence(
        layer1=block(factory, in_channels, channels, 1),
        layer2=block(factory, channels, channels, stride=stride),
        layer3=convolution(factory, channels, out_channels, 1),
    )
    return branch, out_channels


def _stages(factory, make_branch, channels, counts):
    """Return the residual blocks by name, and their number of output channels.

    Parameters
    ----------
    factory : LayerFactory
        Makes their layers.
    make_branch : callable
        `_basic` or `_bottleneck`.
    channels : int
        Of the map that comes in, and of the first stage's convolutions; each next stage has twice
        as many, on half the map.
    counts : sequence of int
        Blocks of each stage.
    """
    blocks = {}
    in_channels = channels
    for stage, count in enumerate(counts):
        for position in range(count):
            stride = 2 if stage and not position else 1
            branch, out_channels = make_branch(factory, in_channels, channels << stage, stride)
            shortcut = None
            if stride > 1 or in_channels != out_channels:
                shortcut = block(factory, in_channels, out_channels, 1, stride)
            name = f"stage{stage + 1}_block{position + 1}"
            blocks[name] = Residual(branch, factory.activation(), shortcut)
            in_channels = out_channels
    return blocks, in_channels


def _resnet(factory, shape, classes, make_branch, channels, counts):
    in_channels = shape[2]
    if max(shape[:2]) <= LARGEST_SMALL_IMAGE:
        layers = {"layer1": block(factory, in_channels, channels)}
    else:
        layers = {
            "layer1": block(factory, in_channels, channels, 7, stride=2),
            "pool1": nn.MaxPool2d(3, stride=2, padding=1),
        }
    blocks, out_channels = _stages(factory, make_branch, channels, counts)
    return sequence(
        **layers,
        **blocks,
        average=nn.AdaptiveAvgPool2d(1),
        # The hardware rounds averages to 8 bits as well.
        average_activation=factory.activation(),
        classifier=classifier(factory, out_channels, classes),
    )


def resnet8(factory, *, shape, classes, width=1.0):
    """Return MLPerf Tiny's network for images like those of CIFAR-10: `resnet20` of three blocks.

    Parameters
    ----------
    factory, shape, classes, width
        As in `resnet20`.

    Returns
    -------
    nn.Module
        From bytes / 255, (N, C, H, W), to logits, (N, classes).

    Raises
    ------
    InputError
        An argument breaks one of these rules.
    """
    check_arguments("resnet8", shape, classes, width, smallest=1)
    return _resnet(factory, shape, classes, _basic, scaled(16, width), (1, 1, 1))


def resnet20(factory, *, shape, classes, width=1.0):
    """Return ResNet-20, for images like those of CIFAR-10: 16, 32 and 64 channels.

    Shortcuts between stages are 1x1 convolutions. Images of more than 64 pixels in height or width
    go through a 7x7 convolution with stride 2 and a pooling first, as in `resnet18`.

    Parameters
    ----------
    factory : LayerFactory
        Makes its layers.
    shape : (int, int, int)
        (H, W, C) of an image.
    classes : int
        Number of logits.
    width : float
        Multiplies the first stage's number of channels, which is rounded to an integer of at least
        1; all others are multiples of it.

    Returns
    -------
    nn.Module
        From bytes / 255, (N, C, H, W), to logits, (N, classes).

    Raises
    ------
    InputError
        An argument breaks one of these rules.
    """
    check_arguments("resnet20", shape, classes, width, smallest=1)
    return _resnet(factory, shape, classes, _basic, scaled(16, width), (3, 3, 3))


def resnet18(factory, *, shape, classes, width=1.0):
    """Return ResNet-18: basic blocks with 64, 128, 256 and 512 channels.

    Images of at most 64 pixels in height and width go through a 3x3 convolution with stride 1
    first; larger ones through a 7x7 convolution with stride 2 and a pooling.

    Parameters
    ----------
    factory, shape, classes, width
        As in `resnet20`.

    Returns
    -------
    nn.Module
        From bytes / 255, (N, C, H, W), to logits, (N, classes).

    Raises
    ------
    InputError
        An argument breaks one of these rules.
    """
    check_arguments("resnet18", shape, classes, width, smallest=1)
    return _resnet(factory, shape, classes, _basic, scaled(64, width), (2, 2, 2, 2))


def resnet50(factory, *, shape, classes, width=1.0):
    """Return ResNet-50: bottlenecks with 256, 512, 1,024 and 2,048 output channels.

    They stride in their 3x3 convolution. The first layers are those of `resnet18`.

    Parameters
    ----------
    factory, shape, classes, width
        As in `resnet20`.

    Returns
    -------
    nn.Module
        From bytes / 255, (N, C, H, W), to logits, (N, classes).

    Raises
    ------
    InputError
        An argument breaks one of these rules.
    """
    check_arguments("resnet50", shape, classes, width, smallest=1)
    return _resnet(factory, shape, classes, _bottleneck, scaled(64, width), (3, 4, 6, 3))
