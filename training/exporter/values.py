"""What a traced model computes, in the terms of the hardware: its tensors."""

from dataclasses import dataclass, replace

import torch

from hiddenite.training.layers.activation import HIGHEST, LEVELS, LOWEST
from hiddenite.training.layers.coded import CodedConv2d


@dataclass(frozen=True)
class Stored:
    """A tensor of 8-bit activations, each ``step`` times an integer: 0 to 255, or -128 to 127.

    Attributes
    ----------
    name : str
        The layer that computes it, or the image.
    step : float
        Size of a unit.
    shape : (int, int, int)
        (C, H, W), also where PyTorch has flattened it; rows (C, L) have height 1.
    signed : bool
        Whether the integers have a sign.
    """

    name: str
    step: float
    shape: tuple[int, int, int]
    signed: bool = False

    @property
    def range(self):
        """The least and the largest integer."""
        return (LOWEST, HIGHEST) if self.signed else (0, LEVELS)

    def __str__(self):
        return f"the stored activations {self.name!r}"


@dataclass(frozen=True, eq=False)
class Operand:
    """What a layer reads of stored activations: zeros around them, times a factor, plus an offset.

    Nothing of it is stored: the layer that reads it has the padding, and a convolution has the
    factor and the offset in its scales and biases.

    Attributes
    ----------
    place : str
        What made it.
    input : Stored
        The activations.
    shape : (int, int, int)
        (C, H, W), with padding.
    padding : (int, int, int, int)
        Zeros at the left, right, top and bottom, as in `functional.pad`. They are there before the
        factor and the offset.
    factor : float
        Not 0.
    offset : float64 tensor, (C,), optional
        None if a zero stays one.
    """

    place: str
    input: Stored
    shape: tuple[int, int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    factor: float = 1.0
    offset: torch.Tensor | None = None

    @classmethod
    def of(cls, stored):
        """Return stored activations as they are."""
        return cls(stored.name, stored, stored.shape)

    @property
    def is_padded_only(self):
        """Whether factor and offset change nothing."""
        return self.factor == 1 and self.offset is None

    def __str__(self):
        return f"what {self.place!r} makes of {self.input}"


@dataclass(frozen=True, eq=False)
class Affine:
    """What is done to each channel of a convolution: ``slope * (y - centre) + level``.

    Attributes
    ----------
    slope, centre, level : float64 tensor, (O,)
        `y` is the convolution's result without its bias, and without its operand's offset.
    low, high : float64 tensor, (O,)
        The least and the largest `y` on the example.
    spread : float64 tensor, (O,), optional
        Standard deviation of `y` around `centre`, where a batch normalisation has measured it.
    """

    slope: torch.Tensor
    centre: torch.Tensor
    level: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    spread: torch.Tensor | None = None

    @classmethod
    def of(cls, conv, operand, result):
        """Return what a convolution of an operand itself does, with this result.

        Its bias is added, and what the operand's offset makes of its weights.
        """
        ones = torch.ones(conv.out_channels, dtype=torch.float64)
        bias = 0 * ones if conv.bias is None else conv.bias.detach().double()
        if operand.offset is not None:
            sums = conv.weights().detach().double().sum((1, 2)) @ operand.offset
            bias = bias + sums * torch.as_tensor(conv.weights.gain, dtype=torch.float64)
        low, high = result.double().transpose(0, 1).flatten(1).aminmax(dim=1)
        return cls(ones, 0 * ones, bias, low - bias, high - bias)

    def shifted(self, offset):
        """Return this plus one number for each channel."""
        return replace(self, level=self.level + offset)

    def scaled(self, factor):
        """Return this times one factor for each channel."""
        return replace(self, slope=self.slope * factor, level=self.level * factor)

    def normalised(self, norm):
        """Return this with a batch normalisation behind it, in evaluation mode."""
        mean, variance = norm.running_mean.double(), norm.running_var.double()
        deviation = (variance + norm.eps).sqrt()
        gamma, beta = torch.ones_like(mean), torch.zeros_like(mean)
        if norm.affine:
            gamma, beta = norm.weight.detach().double(), norm.bias.detach().double()
        constant = self.slope == 0
        slope = torch.where(constant, 1.0, self.slope)
        return Affine(
            slope=self.slope * gamma / deviation,
            # Where y gives the mean, so that roundings of the slope do least harm.
            centre=torch.where(constant, self.centre, self.centre + (mean - self.level) / slope),
            level=torch.where(constant, beta + gamma * (self.level - mean) / deviation, beta),
            low=self.low,
            high=self.high,
            spread=variance.sqrt() / slope.abs(),
        )


@dataclass(frozen=True, eq=False)
class Accumulated:
    """A convolution's signed result, before it is rounded to 8 bits.

    Attributes
    ----------
    place : str
        Name of the convolution.
    conv : CodedConv2d
        The convolution.
    operand : Operand
        What it reads.
    padding : (int, int) or (int, int, int, int)
        All zeros around the activations: height and width, or top, left, bottom and right.
    shape : (int, int, int)
        (C, H, W).
    affine : Affine
        What is done to each channel.
    residual : Stored, optional
        What is added after that.
    is_channelwise : bool
        Whether the convolution is none of the model's, but only gives each channel a factor and an
        offset.
    """

    place: str
    conv: CodedConv2d
    operand: Operand
    padding: tuple[int, ...]
    shape: tuple[int, int, int]
    affine: Affine
    residual: Stored | None = None
    is_channelwise: bool = False

    def __str__(self):
        if self.is_channelwise:
            return f"what {self.place!r} makes of each channel of {self.operand.input}"
        return f"the signed result of {self.place!r}"


@dataclass(frozen=True)
class Averaged:
    """The result of an average pooling, before it is rounded to 8 bits.

    Attributes
    ----------
    place : str
        Name of the pooling.
    input : Stored
        What it reads.
    shape : (int, int, int)
        (C, H, W).
    kernel, stride : (int, int)
        As in `nn.AvgPool2d`.
    padding : (int, int) or (int, int, int, int)
        As in `Accumulated`.
    """

    place: str
    input: Stored
    shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, ...]

    def __str__(self):
        return f"the average {self.place!r}"


@dataclass(frozen=True)
class Summed:
    """The sum of two tensors of stored activations, before it is rounded to 8 bits.

    Attributes
    ----------
    place : str
        What adds them.
    input : Stored
        The first of them.
    residual : Stored, optional
        The other one; None where the first is only rounded to another unit or type.
    shape : (int, int, int)
        (C, H, W).
    """

    place: str
    input: Stored
    residual: Stored | None
    shape: tuple[int, int, int]

    def __str__(self):
        return f"the sum {self.place!r}"


@dataclass(frozen=True, eq=False)
class Hosted:
    """What the host computes of the result.

    Attributes
    ----------
    place : str
        The operation, as messages name it.
    function : {"softmax", "log_softmax", "argmax"}
        PyTorch's name of it; it is over the channels.
    value : Stored or Accumulated
        The result.
    flat, rows : bool
        Whether the result is (N, C), or (N, C, L), instead of (N, C, H, W).
    """

    place: str
    function: str
    value: Stored | Accumulated
    flat: bool
    rows: bool

    def __str__(self):
        return f"the result of {self.place}"


Value = Stored | Operand | Accumulated | Averaged | Summed | Hosted
"""What depends on the image."""
