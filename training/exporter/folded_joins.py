"""Sums, concatenations and enlarged maps as the hardware computes them."""

import torch

from hiddenite.training.exporter.integers import add_integers
from hiddenite.training.layers.activation import clip
from hiddenite.training.layers.settings import StatedModule


def _output(signed):
    return "int8" if signed else "uint8"


class FoldedAdd2d(StatedModule):
    """A sum of two tensors of 8-bit integers, (N, C, H, W), each times a factor, to such integers.

    Parameters
    ----------
    plan : AddPlan
        The layer in the traced model. Where it has no second tensor, the first one is in its place
        with the factor 0.

    Attributes
    ----------
    name : str
        Of the layer and of its output.
    inputs : (str, str)
        The input, then the residual.
    scale, residual_scale, shift : int
        As in a network file.
    output : {"uint8", "int8"}
        Type of the output.
    step : float
        What a unit of the output stands for.
    """

    fixed = ("inputs", "output")
    restored = ("scale", "residual_scale", "shift", "step")

    def __init__(self, plan):
        super().__init__()
        self.name, self.inputs = plan.name, plan.inputs
        self.output, self.step = _output(plan.signed), plan.step
        residual = plan.value.residual
        self.scale, self.residual_scale, self.shift = add_integers(
            plan.name,
            plan.value.input.step / plan.step,
            0.0 if residual is None else residual.step / plan.step,
        )
        self._clip = clip(plan.signed)

    def forward(self, x, residual):
        y = x * (self.scale * 2.0**-self.shift)
        return self._clip(y + residual * (self.residual_scale * 2.0**-self.shift))

    def extra_repr(self):
        return f"{self.name}, {self.output}, shift={self.shift}"


class FoldedConcat2d(StatedModule):
    """Tensors of integers whose channels are put one after the other.

    Parameters
    ----------
    plan : ConcatPlan
        The layer in the traced model.

    Attributes
    ----------
    name, inputs, output, step
        As in `FoldedAdd2d`.
    """

    fixed = ("inputs", "output")
    restored = ("step",)

    def __init__(self, plan):
        super().__init__()
        self.name, self.inputs = plan.name, plan.inputs
        self.output, self.step = _output(plan.input.signed), plan.input.step

    def forward(self, *parts):
        return torch.cat(parts, 1)

    def extra_repr(self):
        return f"{self.name}, {len(self.inputs)} parts"


class FoldedUpsample2d(StatedModule):
    """Integers of which each pixel is repeated.

    Parameters
    ----------
    plan : UpsamplePlan
        The layer in the traced model.

    Attributes
    ----------
    name, inputs, output, step
        As in `FoldedAdd2d`.
    factor : (int, int)
        How often a pixel is repeated down and across.
    """

    fixed = ("inputs", "output", "factor")
    restored = ("step",)

    def __init__(self, plan):
        super().__init__()
        self.name, self.inputs, self.factor = plan.name, plan.inputs, plan.factor
        self.output, self.step = _output(plan.input.signed), plan.input.step

    def forward(self, x):
        down, across = self.factor
        return x.repeat_interleave(down, 2).repeat_interleave(across, 3)

    def extra_repr(self):
        return f"{self.name}, factor={self.factor}"
