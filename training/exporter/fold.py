"""The model as the hardware computes it: integers only, and still trainable.

Batch normalisations, biases and gains become one scale and one bias for each channel, rounded in
every forward pass. Tensors hold the hardware's integers as floating-point numbers.
"""

import warnings
from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.folded_joins import FoldedAdd2d, FoldedConcat2d, FoldedUpsample2d
from hiddenite.training.exporter.graph import IMAGE, INPUT_STEP, example_for, prepared, trace
from hiddenite.training.exporter.integers import (
    MAX_BIAS,
    MAX_SCALE,
    average_integers,
    conv_integers,
)
from hiddenite.training.exporter.plans import (
    AddPlan,
    AveragePlan,
    ConcatPlan,
    ConvPlan,
    MaxPlan,
    UpsamplePlan,
)
from hiddenite.training.exporter.rules import map_shape
from hiddenite.training.layers.activation import HIGHEST, LEVELS, LOWEST, clip
from hiddenite.training.layers.alterations import place_of
from hiddenite.training.layers.coded import convolved, padded
from hiddenite.training.layers.settings import StatedModule

LEFT_TO_THE_HOST = "is left to the host: the network's result is what goes into it"
"""What a warning says of an operation behind the last layer."""

MAX_RESULT = 2**31 - 1
"""The largest 32-bit result."""


class _Round(torch.autograd.Function):
    """Round to integers and clip to -limit ... limit; the gradient passes straight through."""

    @staticmethod
    def forward(ctx, x, limit):
        return x.round().clamp_(-limit, limit)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class _RoundUp(torch.autograd.Function):
    """Round half up, as the hardware does, and clip to 32 bits; the gradient passes through."""

    @staticmethod
    def forward(ctx, x):
        return (x + 0.5).floor_().clamp_(-MAX_RESULT - 1, MAX_RESULT)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class FoldedConv2d(StatedModule):
    """A convolution, or a fully connected layer, with all that the hardware does behind it.

    Its input and its residual are 8-bit integers, (N, C, H, W); so is its output, or it is a 32-bit
    result.

    Parameters
    ----------
    plan : ConvPlan
        The layer in the traced model.

    Attributes
    ----------
    name : str
        Of the layer and of its output.
    inputs : tuple of str
        The input, then the residual if any.
    weights : nn.Module
        The source of the codes, shared with the layers that have the same weights.
    scale, bias : float parameter, (O,)
        As in a network file, before they are rounded to 16 and to 32 bits.
    alive : float buffer, (O,)
        0 for a channel whose result is constant: it has no weights.
    shift, residual_scale : int
        As in a network file; `residual_scale` is None without a residual.
    output : {"uint8", "int8", "int32"}
        Type of the output.
    step : float
        What a unit of the output stands for.
    """

    fixed = ("inputs", "stride", "padding", "dilation", "groups", "output")
    restored = ("shift", "residual_scale", "step")  # what scales and biases were chosen for
    tensor_prefix = "scale"
    alive: torch.Tensor

    def __init__(self, plan):
        super().__init__()
        conv, numbers = plan.value.conv, conv_integers(plan)
        self.name, self.inputs = plan.name, plan.inputs
        self.weights = conv.weights
        self.kernel_size, self.stride = conv.kernel_size, conv.stride
        self.dilation, self.groups = conv.dilation, conv.groups
        self.padding = plan.value.padding
        self.output = "int8" if plan.signed else "uint8"
        if plan.step is None:
            self.output = "int32"
        self.shift, self.residual_scale = numbers.shift, numbers.residual_scale
        self.step = numbers.step
        self.scale = nn.Parameter(numbers.scale.float())
        self.bias = nn.Parameter(numbers.bias.float())
        self.register_buffer("alive", numbers.alive.float())
        self._clip = clip(plan.signed)

    def codes(self):
        """Return the integers that activations are multiplied by, (O, KH, KW, C)."""
        return self.weights() * self.alive.view(-1, 1, 1, 1)

    def integers(self):
        """Return the scales, int16 (O,), and the biases, int32 (O,), as they are exported."""
        scale = _Round.apply(self.scale.detach().double(), MAX_SCALE)
        bias = _Round.apply(self.bias.detach().double(), MAX_BIAS)
        return scale.cpu().numpy().astype(np.int16), bias.cpu().numpy().astype(np.int32)

    def forward(self, x, residual=None):
        codes = self.codes().to(x.dtype).permute(0, 3, 1, 2)
        bias = _Round.apply(self.bias, MAX_BIAS)
        scale = _Round.apply(self.scale, MAX_SCALE) * 2.0**-self.shift
        y = convolved(x, codes, bias, self) * scale.view(-1, 1, 1)
        if residual is not None:
            y = y + residual * (self.residual_scale * 2.0**-self.shift)
        return _RoundUp.apply(y) if self.output == "int32" else self._clip(y)

    def extra_repr(self):
        return f"{self.name}, {self.weights.kind}, {self.output}, shift={self.shift}"


class FoldedPool2d(StatedModule):
    """A pooling of 8-bit integers, (N, C, H, W), to such integers.

    Parameters
    ----------
    plan : MaxPlan or AveragePlan
        The layer in the traced model.

    Attributes
    ----------
    name : str
        Of the layer and of its output.
    inputs : tuple of str
        The input.
    scale, shift : int
        As in a network file; None for a maximum.
    output : {"uint8", "int8"}
        Type of the output.
    step : float
        What a unit of the output stands for.
    """

    fixed = ("operation", "inputs", "kernel_size", "stride", "padding")
    restored = ("scale", "shift", "step")

    def __init__(self, plan):
        super().__init__()
        self.name, self.inputs = plan.name, plan.inputs
        window = plan if isinstance(plan, MaxPlan) else plan.value
        self.kernel_size, self.stride, self.padding = window.kernel, window.stride, window.padding
        self.scale: int | None = None
        self.shift: int | None = None
        self.step = window.input.step
        signed = window.input.signed
        if window is not plan:
            self.step = plan.step
            ratio = window.input.step / plan.step
            area = self.kernel_size[0] * self.kernel_size[1]
            self.scale, self.shift = average_integers(plan.name, ratio, area, signed)
            self._clip = clip(signed)
        self.output = "int8" if signed else "uint8"

    @property
    def operation(self):
        """What is made of a window: "max" or "average"."""
        return "max" if self.scale is None else "average"

    def forward(self, x):
        # PyTorch's own padding has a limit.
        if self.scale is None:
            x = padded(x, self.padding, float(LOWEST) if self.output == "int8" else 0.0)
            return functional.max_pool2d(x, self.kernel_size, self.stride)
        assert self.shift is not None, "an average has both"
        x = padded(x, self.padding)
        sums = functional.avg_pool2d(x, self.kernel_size, self.stride, divisor_override=1)
        return self._clip(sums * (self.scale * 2.0**-self.shift))

    def extra_repr(self):
        window = f"kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{self.name}, {self.operation}, {window}"


FoldedLayer = FoldedConv2d | FoldedPool2d | FoldedAdd2d | FoldedConcat2d | FoldedUpsample2d

_CLASSES: "dict[type, type[FoldedLayer]]" = {
    ConvPlan: FoldedConv2d,
    MaxPlan: FoldedPool2d,
    AveragePlan: FoldedPool2d,
    AddPlan: FoldedAdd2d,
    ConcatPlan: FoldedConcat2d,
    UpsamplePlan: FoldedUpsample2d,
}


class FoldedNetwork(StatedModule):
    """A model as the hardware computes it; what `fold` returns.

    Maps images, float (N, C, H, W), or rows or features as the model takes them, bytes times
    `input_step`, to what the model maps them to, but for roundings. Every number inside is an
    integer: exactly in float64, and as far as float32 goes in float32.

    Attributes
    ----------
    layers : nn.ModuleList of FoldedLayer
        In order of execution; the last one's output is the network's result.
    input_step : float
        What a unit of the image's bytes stands for.
    input_type : {"uint8", "int8"}
        Whether bytes are 0 to 255 or -128 to 127.
    input_shape : (int, int, int)
        (C, H, W) of an image.
    host : {None, "softmax", "log_softmax", "argmax"}
        What the host computes of the channels of the last layer's output; the result is that.
    """

    fixed = ("input_shape", "input_type", "flat", "rows", "host")
    restored = ("input_step",)
    tensor_prefix = "layers."

    def __init__(self, graph):
        super().__init__()
        self.input_step, self.input_shape = graph.image.step, graph.image.shape
        self.input_type = "int8" if graph.image.signed else "uint8"
        self.flat, self.rows = graph.flat, graph.rows
        self.host = None if graph.host is None else graph.host.function
        self.layers = nn.ModuleList(_CLASSES[type(plan)](plan) for plan in graph.layers)

    def _in_order(self) -> "Iterable[FoldedLayer]":
        """The layers, with their types: a `nn.ModuleList` tells only that they are modules."""
        return cast("Iterable[FoldedLayer]", self.layers)

    @property
    def step_out(self):
        """What a unit of the result stands for: logits are integers times this."""
        return self.layers[-1].step

    def tensors(self, images):
        """Yield the name and the integers, (N, C, H, W), of each layer's output, in order.

        Parameters
        ----------
        images : float tensor, (N, C, H, W)
            The images.
        """
        if map_shape(images.shape[1:]) != self.input_shape:
            raise InputError(
                f"images must be of shape {self.input_shape}, not {tuple(images.shape[1:])}"
            )
        parameter = next(self.parameters(), images)
        dtype = torch.float64 if parameter.dtype == torch.float64 else torch.float32
        last_use = {name: layer for layer in self._in_order() for name in layer.inputs}
        # Half precision, which a training may use elsewhere, has no such integers.
        with torch.autocast(images.device.type, enabled=False):
            low, high = (LOWEST, HIGHEST) if self.input_type == "int8" else (0, LEVELS)
            units = (images.to(dtype) / self.input_step).round().clamp(low, high)
            values = {IMAGE: units.reshape(len(units), *self.input_shape)}
            for layer in self._in_order():
                output = layer(*(values[name] for name in layer.inputs))
                for name in set(layer.inputs):
                    if last_use[name] is layer:
                        del values[name]
                values[layer.name] = output
                yield layer.name, output

    def forward(self, images):
        for _, output in self.tensors(images):
            result = output * self.step_out
        result = result.flatten(1) if self.flat else result.squeeze(2) if self.rows else result
        return result if self.host is None else getattr(torch, self.host)(result, dim=1)


def fold(model, example, *, input_step=INPUT_STEP, input_type="uint8"):
    """Return a model as the hardware computes it, for training or for export.

    Each convolution or linear layer and all behind it up to the `QuantizedReLU` becomes one layer
    with a scale and a bias for each channel. Batch normalisations are taken as they are in
    evaluation mode.

    Parameters
    ----------
    model : nn.Module
        The model; it is not changed.
    example : float tensor, (N, C, H, W), (N, C, L) or (N, C)
        Images, each value a byte times `input_step`, as torchvision's `ToTensor` makes them; one
        is enough. Scales suit what a batch normalisation has seen, and what these images show it.
    input_step : float
        What one unit of an image's bytes stands for.
    input_type : {"uint8", "int8"}
        Whether bytes are 0 to 255 or -128 to 127.

    Returns
    -------
    FoldedNetwork
        On the model's device and of its type, in evaluation mode.

    Raises
    ------
    InputError
        The hardware cannot do what the model does, or something else than the classes of its
        modules decides what it does (hooks, wrappers); the message names the place.
    """
    _, graph, _ = traced(model, example, input_step, input_type)
    parameter = next(model.parameters(), torch.empty(0))
    folded = FoldedNetwork(graph)
    return folded.to(parameter.device, parameter.dtype).eval()


def traced(model, example, input_step, input_type="uint8"):
    """Return a copy of a model on the CPU, its graph, and the example as the copy takes it.

    The arguments and errors are those of `fold`.
    """
    given = prepared(model)
    for name, module in given.named_modules():
        if isinstance(module, FoldedNetwork):
            raise InputError(f"{place_of(name, module)}: is folded already: export it alone")
    example = example_for(given, example)
    graph = trace(given, example, input_step, input_type)
    if graph.host is not None:
        warnings.warn(f"{graph.host.place}: {LEFT_TO_THE_HOST}", stacklevel=3)
    return given, graph, example
