"""Traces a model with `torch.fx` and finds the hardware's layers in it."""

import torch

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import ACTIVATION_TYPES
from hiddenite.training.exporter.plans import Graph
from hiddenite.training.exporter.reader import Reader
from hiddenite.training.exporter.rules import map_shape
from hiddenite.training.exporter.sameness import check_repeats, check_same, no_autocast
from hiddenite.training.exporter.tracer import copied, symbolic
from hiddenite.training.exporter.values import Stored
from hiddenite.training.layers.activation import HIGHEST, LEVELS, LOWEST, Quantizer
from hiddenite.training.layers.alterations import check_unaltered, place_of
from hiddenite.training.layers.coded import CodedConv2d

IMAGE = "image"
"""Name of the input."""

INPUT_STEP = 1 / 255
"""What one unit of an image's bytes stands for, unless it is said otherwise."""

MAX_EXAMPLE = 64
"""The largest number of images that a model is traced with."""

_TOLERANCE = 0.01
"""How far, in units, an image's value may be from a whole number of them."""


def prepared(model):
    """Return a copy of a model on the CPU, in evaluation mode, that can be traced.

    Parameters
    ----------
    model : nn.Module
        The model, on any device and in any mode; it is not changed.

    Returns
    -------
    nn.Module

    Raises
    ------
    InputError
        Something else than its modules' classes decides what the model computes, or it cannot be
        copied.
    """
    check_unaltered(model, (CodedConv2d, Quantizer))
    model = copied(model).cpu().eval()
    for name, module in model.named_modules():
        # Hooks of gradients change no number, and those of an old kind keep torch.fx from ending.
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
        if module.training:
            raise InputError(
                f"{place_of(name, module)}: must be in evaluation mode when the model is, not stay"
                " in training mode"
            )
    return model


def example_for(model, example):
    """Return an example on the CPU and of a model's type, or as it is if it is no such tensor."""
    if not torch.is_tensor(example) or not example.is_floating_point():
        return example
    return example.detach().cpu().to(next(model.parameters(), torch.empty(0)).dtype)


def trace(model, example, input_step=INPUT_STEP, input_type="uint8"):
    """Find the hardware's layers in a model, and check that the trace computes what it does.

    Parameters
    ----------
    model : nn.Module
        The model, in evaluation mode. It is called.
    example : float tensor, (N, C, H, W), (N, C, L) or (N, C)
        Images on the model's device, each value a byte times `input_step`. The first 64 are used.
    input_step : float
        What one unit of the image's bytes stands for.
    input_type : {"uint8", "int8"}
        Whether bytes are 0 to 255 or -128 to 127.

    Returns
    -------
    Graph

    Raises
    ------
    InputError
        The hardware cannot do what the model does, or the example is not made of bytes.
    """
    check_example(example, input_step, input_type)
    # Of a single image, the axis could be lost unseen.
    example = example[:MAX_EXAMPLE] if len(example) > 1 else torch.cat([example, example])
    root, module = symbolic(model)
    where = f"model {type(model).__name__}"
    shape = map_shape(example.shape[1:])
    reader = Reader(module, Stored(IMAGE, input_step, shape, input_type == "int8"))
    result = read(reader, example)
    layers, flat, rows = reader.layers_of_result()
    if not layers:
        raise InputError(f"{where}: must have a layer, not only return its input")
    check_same(where, check_repeats(root, where, example), result)
    return Graph(reader.image, layers, flat, rows, reader.host, module, reader.nodes)


def read(reader, example):
    """Run a `Reader` on images, and return the result."""
    with torch.no_grad(), no_autocast():
        return reader.run(example.clone())


def check_example(example, input_step, input_type="uint8"):
    """Raise `InputError` unless `example` is images, rows or features, bytes times `input_step`."""
    if not isinstance(input_step, int | float) or not input_step > 0:
        raise InputError(f"input_step must be above 0, not {input_step!r}")
    if input_type not in ACTIVATION_TYPES:
        raise InputError(f"input_type must be 'uint8' or 'int8', not {one_line(input_type)}")
    if not torch.is_tensor(example):
        raise InputError(f"example must be a float tensor (N, C, H, W), not {one_line(example)}")
    if not example.is_floating_point() or example.dim() not in (2, 3, 4) or not example.numel():
        raise InputError(
            "example must be a float tensor (N, C, H, W), (N, C, L) or (N, C),"
            f" not {example.dtype} of shape {tuple(example.shape)}"
        )
    low, high = (0, LEVELS) if input_type == "uint8" else (LOWEST, HIGHEST)
    units = example.double() / input_step
    near = (units - units.round()).abs() <= _TOLERANCE
    wrong = ~(near & (units > low - 0.5) & (units < high + 0.5))
    if wrong.any():
        raise InputError(
            f"example must be bytes, {low} to {high}, times the input step {input_step:g},"
            f" not {example[wrong][0].item():g}"
        )


def image_bytes(example, input_step, input_type):
    """Return the bytes of a float example, (N, H, W, C), as a network reads them."""
    units = (example / input_step).round().numpy().astype(input_type)
    return units.reshape(len(units), *map_shape(units.shape[1:])).transpose(0, 2, 3, 1)
