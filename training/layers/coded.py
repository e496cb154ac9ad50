"""Convolutions and fully connected layers for the hardware; they drop into any `nn.Module`."""

import torch
from torch import nn
from torch.nn import functional

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.settings import StatedModule
from hiddenite.training.layers.weights import HiddenWeights


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


class CodedConv2d(StatedModule):
    """A convolution whose weights are integer codes times a gain.

    Its state dictionary tells its stride and padding, and is refused by a layer of others.

    Parameters
    ----------
    weights : nn.Module
        The source of its codes, (O, KH, KW, C): of `hiddenite.training.layers.weights`.
    stride, padding : int or (int, int)
        As in `nn.Conv2d`.
    bias : bool
        Whether each output channel has a learnt bias. A batch normalisation makes it needless.
    """

    fixed = ("stride", "padding")
    tensor_prefix = "weights."

    def __init__(self, weights, *, stride=1, padding=0, bias=False):
        super().__init__()
        self.weights = weights
        self.stride, self.padding = _pair(stride), _pair(padding)
        latent = next(weights.parameters())
        self.out_channels, *kernel_size, self.in_channels = latent.shape
        self.kernel_size = tuple(kernel_size)
        self.bias = nn.Parameter(torch.zeros(self.out_channels)) if bias else None

    def forward(self, input):
        weight = self.weights().permute(0, 3, 1, 2)
        gain = self.weights.gain
        weight = weight * (gain.view(-1, 1, 1, 1) if torch.is_tensor(gain) else gain)
        # Else the output would be channels-last even where the input is not, and the usual
        # `x.view(len(x), -1)` would fail. `contiguous` does nothing where there is one channel.
        weight = weight.flatten(1).view(weight.shape)
        return functional.conv2d(input, weight, self.bias, self.stride, self.padding)

    def extra_repr(self):
        return (
            f"{self.weights.kind}, {self.in_channels}, {self.out_channels},"
            f" kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        )


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


class HiddenConv2d(CodedConv2d):
    """A convolution with random signs that never change, of which a trained mask keeps some.

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size, stride, padding : int or (int, int)
        As in `nn.Conv2d`.
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
        *,
        index,
        seed=1,
        density=0.3,
        one_of=None,
        bias=False,
    ):
        shape = (out_channels, *_pair(kernel_size), in_channels)
        weights = HiddenWeights(shape, index=index, seed=seed, density=density, one_of=one_of)
        super().__init__(weights, stride=stride, padding=padding, bias=bias)


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
        height, width = _pair(map_size)
        if in_features % (height * width):
            raise InputError(
                f"in_features must be a multiple of the map's {height * width} pixels,"
                f" not {in_features}"
            )
        shape = (out_features, height, width, in_features // (height * width))
        weights = HiddenWeights(shape, index=index, seed=seed, density=density, one_of=one_of)
        super().__init__(weights, bias=bias)
