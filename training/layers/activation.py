"""The activation of every layer: rectified and rounded to the 8 bits that the hardware stores."""

import math

import torch

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.settings import StatedModule

LEVELS = 255
"""The largest stored activation."""

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


class QuantizedReLU(StatedModule):
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

    def __init__(self, step=STEP):
        super().__init__()
        self.set_settings(step=step)

    def get_extra_state(self):
        """Part of the state dictionary: what the numbers behind this layer are counted in."""
        return {"step": self.step}

    def set_settings(self, **settings):
        """Take over a size of a unit."""
        step = settings["step"]
        if not step > 0:
            raise InputError(f"step must be above 0, not {step!r}")
        if step == math.inf:
            raise InputError("step must be finite, not inf")
        self.step = float(step)

    def forward(self, input):
        # Half precision cannot tell all of 256 steps from one another.
        input = input if input.dtype == torch.float64 else input.float()
        return _Quantize.apply(input, self.step)

    def extra_repr(self):
        return f"step={self.step:g}"
