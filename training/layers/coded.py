"""Convolutions and fully connected layers for the hardware; they drop into any `nn.Module`."""

import torch
from torch import nn
from torch.nn import functional

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.settings import StatedModule
from hiddenite.training.layers.weights import HiddenWeights


def pair(value):
    """Return (height, width); one number stands for two."""
    return (value, value) if isinstance(value, int) else tuple(value)


def _single(value):
    return value if isinstance(value, int) else value[0]


def _sides(padding):
    """Return padding as (height, width), or as four numbers where opposite sides differ."""
    padding = pair(padding)
    return padding[:2] if padding[:2] == padding[2:] else padding


def padded(x, padding, value=0.0):
    """Return maps (N, C, H, W) with padding around them.

    `padding` is (height, width) for both sides alike, or (top, left, bottom, right).
    """
    top, left, bottom, right = padding * 2 if len(padding) == 2 else padding
    return functional.pad(x, (left, right, top, bottom), value=value)


def convolved(x, weight, bias, conv):
    """Return a convolution with the geometry of `conv`, whose padding may be of each side."""
    padding = conv.padding
    if len(padding) == 4:
        x, padding = padded(x, padding), (0, 0)
    return functional.conv2d(x, weight, bias, conv.stride, padding, conv.dilation, conv.groups)


class CodedConv2d(StatedModule):
    """A convolution whose weights are integer codes times a gain.

    Its state dictionary tells its geometry, and is refused by a layer of another one.

    Parameters
    ----------
    weights : nn.Module
        The source of its codes, (O, KH, KW, C): of `hiddenite.training.layers.weights`. C is the
        number of the input's channels in a group.
    stride, dilation : int or (int, int)
        As in `nn.Conv2d`.
    padding : int, (int, int) or (int, int, int, int)
        As in `nn.Conv2d`, or the zeros of each side: top, left, bottom, right.
    groups : int
        As in `nn.Conv2d`; it divides O.
    bias : bool
        Whether each output channel has a learnt bias. A batch normalisation makes it needless.
    """

    fixed = ("stride", "padding", "dilation", "groups")
    tensor_prefix = "weights."

    def __init__(self, weights, *, stride=1, padding=0, dilation=1, groups=1, bias=False):
        super().__init__()
        self.weights = weights
        self.stride, self.padding = pair(stride), _sides(padding)
        self.dilation, self.groups = pair(dilation), groups
        latent = next(weights.parameters())
        self.out_channels, *kernel_size, channels = latent.shape
        self.kernel_size = tuple(kernel_size)
        if groups < 1 or self.out_channels % groups:
            raise InputError(
                f"groups must divide the {self.out_channels} output channels, not be {groups}"
            )
        self.in_channels = channels * groups
        self.bias = nn.Parameter(torch.zeros(self.out_channels)) if bias else None

    def forward(self, input):
        weight = self.weights().permute(0, 3, 1, 2)
        gain = self.weights.gain
        weight = weight * (gain.view(-1, 1, 1, 1) if torch.is_tensor(gain) else gain)
        # Else the output would be channels-last even where the input is not, and the usual
        # `x.view(len(x), -1)` would fail. `contiguous` does nothing where there is one channel.
        weight = weight.flatten(1).view(weight.shape)
        return convolved(input, weight, self.bias, self)

    def extra_repr(self):
        return (
            f"{self.weights.kind}, {self.in_channels}, {self.out_channels},"
            f" kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
            f"{'' if self.dilation == (1, 1) else f', dilation={self.dilation}'}"
            f"{'' if self.groups == 1 else f', groups={self.groups}'}"
        )


class CodedConv1d(CodedConv2d):
    """A convolution of rows (N, C, L) with such weights: one of maps of height 1.

    Its kernel, stride, padding and dilation have a height, too, which changes nothing.

    Parameters
    ----------
    weights : nn.Module
        The source of its codes, (O, 1, K, C).
    stride, dilation : int
        As in `nn.Conv1d`.
    padding : int or (int, int)
        As in `nn.Conv1d`, or the zeros at the left and at the right.
    groups, bias
        As in `CodedConv2d`.
    """

    def __init__(self, weights, *, stride=1, padding=0, dilation=1, groups=1, bias=False):
        left, *others = pair(padding)
        right = others[0] if others else left
        super().__init__(
            weights,
            stride=(1, _single(stride)),
            padding=(0, left, 0, right),
            dilation=(1, _single(dilation)),
            groups=groups,
            bias=bias,
        )

    def forward(self, input):
        return super().forward(input.unsqueeze(2)).squeeze(2)


class CodedLinear(CodedConv2d):
    """A fully connected layer with such weights; a convolution that covers its whole input.

    Its input is a map (N, C, H, W), or what `torch.flatten` makes of it; the codes are in y, x, c
    order all the same. Its output is (N, O).

    Parameters
    ----------
    weights : nn.Module
        The source of its codes, (O, H, W, C) for the map that it reads.
    bias : bool
        Whether each output channel has a learnt bias.
    """

    def __init__(self, weights, *, bias=False):
        super().__init__(weights, bias=bias)

    def forward(self, input):
        maps = input.reshape(len(input), self.in_channels, *self.kernel_size)
        return super().forward(maps).flatten(1)


def _hidden_weights(out_channels, kernel_size, in_channels, groups, **source):
    """Return the weights of a convolution, whose groups must divide its input's channels."""
    if groups < 1 or in_channels % groups:
        raise InputError(f"groups must divide the {in_channels} input channels, not be {groups}")
    return HiddenWeights((out_channels, *kernel_size, in_channels // groups), **source)


class HiddenConv2d(CodedConv2d):
    """A convolution with random signs that never change, of which a trained mask keeps some.

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size, stride, dilation : int or (int, int)
        As in `nn.Conv2d`.
    padding : int, (int, int) or (int, int, int, int)
        As in `nn.Conv2d`, or the zeros of each side: top, left, bottom, right.
    groups : int
        As in `nn.Conv2d`; it divides C and O.
    index : int
        The weight-set index, 0 to 65,535: another one for each layer of a network.
    seed : int
        The network's seed, 32 bit: the same for each layer.
    density : float
        Fraction of the weights that are kept, above 0 and at most 1.
    one_of : int, optional
        Keep exactly one of every `one_of` consecutive weights of a row instead.
    bias : bool
        Whether each output channel has a learnt bias. A batch normalisation makes it needless.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        *,
        index,
        seed=1,
        density=0.3,
        one_of=None,
        bias=False,
    ):
        source = {"index": index, "seed": seed, "density": density, "one_of": one_of}
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        kernel_size = pair(kernel_size)
        weights = _hidden_weights(out_channels, kernel_size, in_channels, groups, **source)
        super().__init__(weights, **geometry, bias=bias)


class HiddenConv1d(CodedConv1d):
    """A convolution of rows, with hidden weights; a `HiddenConv2d` of height 1.

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size, stride, dilation : int
        As in `nn.Conv1d`.
    padding : int or (int, int)
        As in `nn.Conv1d`, or the zeros at the left and at the right.
    groups : int
        As in `nn.Conv1d`; it divides C and O.
    index, seed, density, one_of, bias
        As in `HiddenConv2d`.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        *,
        index,
        seed=1,
        density=0.3,
        one_of=None,
        bias=False,
    ):
        source = {"index": index, "seed": seed, "density": density, "one_of": one_of}
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        kernel_size = 1, _single(kernel_size)
        weights = _hidden_weights(out_channels, kernel_size, in_channels, groups, **source)
        super().__init__(weights, **geometry, bias=bias)


class HiddenLinear(CodedLinear):
    """A fully connected layer with random signs that never change, of which a mask keeps some.

    Parameters
    ----------
    in_features, out_features : int
        As in `nn.Linear`.
    map_size : int or (int, int)
        Height and width of the map that it reads; `in_features` is a multiple of their product.
    index, seed, density, one_of, bias
        As in `HiddenConv2d`.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    def __init__(
        self,
        in_features,
        out_features,
        *,
        map_size=1,
        index,
        seed=1,
        density=0.3,
        one_of=None,
        bias=False,
    ):
        height, width = pair(map_size)
        if in_features % (height * width):
            raise InputError(
                f"in_features must be a multiple of the map's {height * width} pixels,"
                f" not {in_features}"
            )
        shape = (out_features, height, width, in_features // (height * width))
        weights = HiddenWeights(shape, index=index, seed=seed, density=density, one_of=one_of)
        super().__init__(weights, bias=bias)
