"""What the architectures share: their arguments, and a convolution with all that is behind it."""

from collections import OrderedDict

from torch import nn

from hiddenite.golden.errors import InputError

RESIDUAL_GAMMA = 0.5
"""Initial scale of the batch normalisation that ends a residual's branch. Stored activations end
at 255 steps, and sums grow from block to block: behind the six blocks of ResNet-50's longest
stage 0.5 % of the activations are cut with this value, 6.6 % with 1. With 0 (Goyal et al., 2017,
https://arxiv.org/abs/1706.02677) none are, but the scores of the branch get no gradient at
first."""


def scaled(channels, width):
    """Return a number of channels times `width`: rounded, and at least 1."""
    return max(1, round(channels * width))


def check_arguments(name, shape, classes, width, smallest):
    """Raise `InputError` unless the arguments of an architecture are possible.

    Parameters
    ----------
    name : str
        How messages name the architecture.
    shape : (int, int, int)
        (H, W, C) of an image.
    classes : int
        At least 2.
    width : float
        Above 0.
    smallest : int
        The smallest height and width of which the poolings leave something.
    """
    shape = tuple(shape)
    if len(shape) != 3 or any(not isinstance(size, int) or size < 1 for size in shape):
        raise InputError(f"{name}: shape must be (height, width, channels), not {shape!r}")
    if min(shape[:2]) < smallest:
        raise InputError(
            f"{name}: images must be at least {smallest}x{smallest}, not {shape[0]}x{shape[1]}"
        )
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise InputError(f"{name}: classes must be an integer of at least 2, not {classes!r}")
    if not width > 0:
        raise InputError(f"{name}: width must be above 0, not {width!r}")


def sequence(**modules):
    """Return modules one behind the other; layers of network files are called as they are."""
    return nn.Sequential(OrderedDict(modules))


def convolution(factory, in_channels, out_channels, kernel_size=3, stride=1):
    """Return a convolution with its batch normalisation, padded to keep the map at stride 1."""
    padding = kernel_size // 2
    conv = factory.conv(in_channels, out_channels, kernel_size, stride=stride, padding=padding)
    return sequence(conv=conv, norm=nn.BatchNorm2d(out_channels))


def block(factory, in_channels, out_channels, kernel_size=3, stride=1):
    """Return a convolution with its batch normalisation and its activation."""
    layers = convolution(factory, in_channels, out_channels, kernel_size, stride)
    return sequence(conv=layers.conv, norm=layers.norm, activation=factory.activation())


class Residual(nn.Module):
    """``activation(branch(x) + shortcut(x))``, the residual block of He et al. (2015).

    The hardware adds a stored activation to a convolution's result before it is rectified and
    rounded. So `shortcut` ends with an activation.

    Parameters
    ----------
    branch : nn.Sequential
        It ends with a batch normalisation, whose scale starts at `RESIDUAL_GAMMA`.
    activation : nn.Module
        Applied to the sum.
    shortcut : nn.Module, optional
        What the input goes through before it is added; the default is nothing.
    """

    def __init__(self, branch, activation, shortcut=None):
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation
        *_, norm = (module for module in branch.modules() if isinstance(module, nn.BatchNorm2d))
        nn.init.constant_(norm.weight, RESIDUAL_GAMMA)

    def forward(self, x):
        return self.activation(self.branch(x) + (x if self.shortcut is None else self.shortcut(x)))


def classifier(factory, in_channels, classes, *, map_size=(1, 1)):
    """Return the last layer: fully connected, with a scale and a bias for each logit."""
    linear = factory.linear(in_channels, classes, map_size=map_size)
    return sequence(linear=linear, norm=nn.BatchNorm1d(classes))
