"""Small networks for small grey images, which the smallest configurations hold."""

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


def digits_cnn(factory, *, shape, classes, width=1.0):
    """Return the network of the packaged demo: 14,928 weights for 10 classes of 8x8x1 images.

    Parameters
    ----------
    factory : LayerFactory
        Makes its layers.
    shape : (int, int, int)
        (H, W, C) of an image, at least 4x4.
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
    check_arguments("digits_cnn", shape, classes, width, smallest=4)
    height, image_width, in_channels = shape
    first, second = scaled(16, width), scaled(24, width)
    return sequence(
        layer1=block(factory, in_channels, first),
        layer2=block(factory, first, second),
        pool1=nn.MaxPool2d(2),
        layer3=block(factory, second, second),
        layer4=Residual(convolution(factory, second, second), factory.activation()),
        pool2=nn.MaxPool2d(2),
        classifier=classifier(factory, second, classes, map_size=(height // 4, image_width // 4)),
    )


def fashion_cnn(factory, *, shape, classes, width=1.0):
    """Return a network without residuals: 65,808 weights for 10 classes of 28x28x1 images.

    Parameters
    ----------
    factory : LayerFactory
        Makes its layers.
    shape : (int, int, int)
        (H, W, C) of an image, at least 7x7.
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
    check_arguments("fashion_cnn", shape, classes, width, smallest=7)
    height, image_width, in_channels = shape
    first, second, third = (scaled(channels, width) for channels in (16, 32, 64))
    map_size = (height + 1) // 8, (image_width + 1) // 8
    return sequence(
        layer1=block(factory, in_channels, first, stride=2),
        layer2=block(factory, first, second),
        pool1=nn.MaxPool2d(2),
        layer3=block(factory, second, third),
        layer4=block(factory, third, third),
        pool2=nn.MaxPool2d(2),
        classifier=classifier(factory, third, classes, map_size=map_size),
    )
