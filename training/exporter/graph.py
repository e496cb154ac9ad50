"""Traces a model with `torch.fx` and finds the hardware's layers in it."""

import torch
from torch import fx, nn

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.reader import Reader, first_line
from hiddenite.training.exporter.values import Graph, Stored
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import CodedConv2d, CodedLinear

IMAGE = "image"
"""Name of the input."""

INPUT_STEP = 1 / 255
"""What one unit of an image's bytes stands for, unless it is said otherwise."""

_TOLERANCE = 0.01
"""How far, in units, an image's value may be from a whole number of them."""


def trace(model, example, input_step=INPUT_STEP):
    """Find the hardware's layers in a model.

    Parameters
    ----------
    model : nn.Module
        The model, in evaluation mode.
    example : float tensor, (N, C, H, W)
        Images on the model's device, each value an integer from 0 to 255 times `input_step`.
    input_step : float
        What one unit of the image's bytes stands for.

    Returns
    -------
    Graph

    Raises
    ------
    InputError
        The hardware cannot do what the model does, or the example is not made of bytes.
    """
    check_example(example, input_step)
    # A model that is a layer itself would be traced into.
    root = nn.Sequential(model) if _is_leaf(model) else model
    where = f"model {type(model).__name__}"
    try:
        graph = _Tracer().trace(root)
    except Exception as error:
        raise InputError(
            f"{where}: forward must do the same for every image, so that torch.fx can trace it,"
            f" not stop with: {first_line(error)}"
        ) from None
    inputs = [node.name for node in graph.nodes if node.op == "placeholder" and not node.args]
    if len(inputs) != 1:
        raise InputError(f"{where}: forward must have one input, not {', '.join(inputs) or 'none'}")
    reader = Reader(fx.GraphModule(root, graph), Stored(IMAGE, input_step, (*example.shape[1:],)))
    with torch.no_grad():
        reader.run(example)
    layers, flat = reader.layers_of_result()
    if not layers:
        raise InputError(f"{where}: must have a layer, not only return its input")
    return Graph(reader.image, layers, flat)


def check_example(example, input_step):
    """Raise `InputError` unless `example` is (N, C, H, W), bytes times `input_step`."""
    if not isinstance(input_step, int | float) or not input_step > 0:
        raise InputError(f"input_step must be above 0, not {input_step!r}")
    if not torch.is_tensor(example):
        raise InputError(f"example must be a float tensor (N, C, H, W), not {one_line(example)}")
    if not example.is_floating_point() or example.dim() != 4 or not example.numel():
        raise InputError(
            "example must be a float tensor (N, C, H, W),"
            f" not {example.dtype} of shape {tuple(example.shape)}"
        )
    units = example.double() / input_step
    near = (units - units.round()).abs() <= _TOLERANCE
    wrong = ~(near & (units > -0.5) & (units < 255.5))
    if wrong.any():
        raise InputError(
            f"example must be bytes, 0 to 255, times the input step {input_step:g},"
            f" not {example[wrong][0].item():g}"
        )


def _is_leaf(module):
    """Return whether a module is one of ours, with our `forward`."""
    return isinstance(module, CodedConv2d | QuantizedReLU) and type(module).forward in (
        CodedConv2d.forward,
        CodedLinear.forward,
        QuantizedReLU.forward,
    )


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module, qualified_name):
        return _is_leaf(module) or super().is_leaf_module(module, qualified_name)
