"""The activations: what a layer computes, rounded to the 8 bits that the hardware stores.

Quantizer ─┬─► QuantizedReLU        0 ... 255 steps
           └─► QuantizedIdentity    -128 ... 127 steps, whose size is learnt
"""

import math

import torch
from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.settings import StatedModule

LEVELS = 255
"""The largest stored activation without a sign."""

LOWEST, HIGHEST = -128, 127
"""The least and the largest stored activation with a sign."""

STEP = 1 / 64
"""What one unit of a stored activation stands for, unless a layer says otherwise: activations
reach 3.98, four standard deviations behind a batch normalisation."""


class _Quantize(torch.autograd.Function):
    """Round half up to a multiple of `step`, 0 to 255 of them; gradients pass inside that range."""

    @staticmethod
    def forward(ctx, x, step):
        units = x / step
        ctx.save_for_backward((units > 0) & (units < LEVELS))
        return units.add_(0.5).floor_().clamp_(0, LEVELS).mul_(step)

    @staticmethod
    def backward(ctx, gradient):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None


class _QuantizeSigned(torch.autograd.Function):
    """Round half up to a multiple of a step, -128 to 127 of them; gradients pass in that range.

    The gradient of the step is that of Esser et al., "Learned step size quantization", ICLR 2020
    (https://arxiv.org/abs/1902.08153), for its logarithm.
    """

    @staticmethod
    def forward(ctx, x, stretch, start):
        step = _stretched(stretch, start).to(x.dtype)
        units = x / step
        rounded = (units + 0.5).floor_().clamp_(LOWEST, HIGHEST)
        inside = (units > LOWEST) & (units < HIGHEST)
        output = rounded * step
        # By how many units the output grows for each unit by which the step does.
        ctx.save_for_backward(inside, torch.where(inside, rounded - units, rounded), step)
        return output

    @staticmethod
    def backward(ctx, gradient):
        inside, growth, step = ctx.saved_tensors
        scale = 1 / math.sqrt(HIGHEST * max(1, growth[0].numel()))
        # However steep the loss is, a batch moves the logarithm by the learning rate at most.
        stretch = ((gradient * growth).sum() * step * scale).clamp(-1, 1)
        return gradient * inside, stretch, None


def _stretched(stretch, start):
    return stretch.exp() * start


def check_step(step):
    """Raise `InputError` unless `step` is above 0 and finite; return it as a float."""
    if not step > 0:
        raise InputError(f"step must be above 0, not {step!r}")
    if step == math.inf:
        raise InputError("step must be finite, not inf")
    return float(step)


class Quantizer(StatedModule):
    """What rounds to 8 bits: an activation is an integer times `step`.

    Attributes
    ----------
    signed : bool
        Whether the integers are -128 ... 127 instead of 0 ... 255.
    step : float
        Size of a unit.
    """

    signed: bool


class QuantizedReLU(Quantizer):
    """A rectifier whose output is an unsigned 8-bit number of steps: ``step * (0 ... 255)``.

    Rounds half up, as the hardware does. In the backward pass it is a rectifier that is cut at
    ``255 * step``.

    Parameters
    ----------
    step : float
        Size of a unit; above 0. It belongs to the state dictionary.

    Raises
    ------
    InputError
        `step` is not above 0, or infinite.
    """

    signed = False

    def __init__(self, step=STEP):
        super().__init__()
        self.set_settings(step=step)

    def get_extra_state(self):
        """Part of the state dictionary: what the numbers behind this layer are counted in."""
        return {"step": self.step}

    def set_settings(self, **settings):
        """Take over a size of a unit."""
        self.step = check_step(settings["step"])

    def forward(self, input):
        # Half precision cannot tell all of 256 steps from one another.
        input = input if input.dtype == torch.float64 else input.float()
        return _Quantize.apply(input, self.step)

    def extra_repr(self):
        return f"step={self.step:g}"


class QuantizedIdentity(Quantizer):
    """Rounds to a signed 8-bit number of steps, ``step * (-128 ... 127)``, whose size is learnt.

    For what is stored without a rectifier: linear bottlenecks, shortcuts, images with a sign.
    Rounds half up, as the hardware does.

    Parameters
    ----------
    step : float
        Size of a unit at first; above 0.

    Attributes
    ----------
    stretch : float parameter, ()
        The natural logarithm of how much larger the step is than at first. So weight decay draws
        the step to what it was.

    Raises
    ------
    InputError
        `step` is not above 0, or infinite.
    """

    signed = True
    tensor_prefix = "stretch"

    def __init__(self, step=2 * STEP):
        super().__init__()
        self.set_settings(start=step)
        self.stretch = nn.Parameter(torch.zeros(()))

    def get_extra_state(self):
        """Part of the state dictionary: the size of a unit at first."""
        return {"start": self.start}

    def set_settings(self, **settings):
        """Take over a size of a unit at first."""
        self.start = check_step(settings["start"])

    @property
    def step(self):
        """Size of a unit as it is now."""
        return _stretched(self.stretch.detach(), self.start).item()

    def forward(self, input):
        # Half precision cannot tell all of 256 steps from one another.
        input = input if input.dtype == torch.float64 else input.float()
        return _QuantizeSigned.apply(input, self.stretch, self.start)

    def extra_repr(self):
        return f"step={self.step:g}"


def clip(signed):
    """Return what rounds integers and clips them to 8 bits, with or without a sign."""
    return QuantizedIdentity(1.0).requires_grad_(False) if signed else QuantizedReLU(1.0)
