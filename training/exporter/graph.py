"""Traces a model with `torch.fx` and finds the hardware's layers in it."""

import copy

import torch
from torch import fx, nn

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.reader import Reader, first_line
from hiddenite.training.exporter.values import Graph, Stored
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.alterations import (
    check_unaltered,
    library_class,
    own_method,
    place_of,
)
from hiddenite.training.layers.coded import CodedConv2d

IMAGE = "image"
"""Name of the input."""

INPUT_STEP = 1 / 255
"""What one unit of an image's bytes stands for, unless it is said otherwise."""

MAX_EXAMPLE = 64
"""The largest number of images that a model is traced with."""

_CONTAINERS = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)

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
    check_unaltered(model, (CodedConv2d, QuantizedReLU))
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


def copied(model):
    """Return a copy of a model, or raise `InputError`."""
    values = [value for module in model.modules() for value in vars(module).values()]
    # A forward may keep tensors of the last training step, which have no copies with gradients.
    kept = [value for value in values if torch.is_tensor(value) and not value.is_leaf]
    try:
        return copy.deepcopy(model, {id(value): value.detach().clone() for value in kept})
    except Exception as error:
        raise InputError(
            f"model {type(model).__name__}: must be one that copy.deepcopy copies, not stop it"
            f" with: {first_line(error)}"
        ) from None


def example_for(model, example):
    """Return an example on the CPU and of a model's type, or as it is if it is no such tensor."""
    if not torch.is_tensor(example) or not example.is_floating_point():
        return example
    return example.detach().cpu().to(next(model.parameters(), torch.empty(0)).dtype)


def trace(model, example, input_step=INPUT_STEP):
    """Find the hardware's layers in a model, and check that the trace computes what it does.

    Parameters
    ----------
    model : nn.Module
        The model, in evaluation mode. It is called.
    example : float tensor, (N, C, H, W)
        Images on the model's device, each value an integer from 0 to 255 times `input_step`. The
        first 64 are used.
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
    # Of a single image, the axis could be lost unseen.
    example = example[:MAX_EXAMPLE] if len(example) > 1 else torch.cat([example, example])
    # A model that is a layer itself would be traced into.
    root = nn.Sequential(model) if _is_leaf(model) else model
    where = f"model {type(model).__name__}"
    # What forward keeps while it is traced is none of the model's.
    tracer, apart = _Tracer(), copied(root)
    try:
        graph = tracer.trace(apart)
    except Exception as error:
        reason = first_line(error)
        if reason.startswith("'len' is not supported"):
            reason = "it calls len of a tensor: write x.shape[0]"
        raise InputError(
            f"{tracer.failed or where}: forward must do the same for every image, so that torch.fx"
            f" can trace it, not stop with: {reason}"
        ) from None
    inputs = [node.name for node in graph.nodes if node.op == "placeholder" and not node.args]
    if len(inputs) != 1:
        raise InputError(f"{where}: forward must have one input, not {', '.join(inputs) or 'none'}")
    module = fx.GraphModule(apart, graph)
    reader = Reader(module, Stored(IMAGE, input_step, (*example.shape[1:],)))
    with torch.no_grad(), no_autocast():
        result = reader.run(example)
    layers, flat = reader.layers_of_result()
    if not layers:
        raise InputError(f"{where}: must have a layer, not only return its input")
    check_repeats(root, where, example)
    check_same(where, called(root, where, example), result)
    return Graph(reader.image, layers, flat, module, reader.nodes)


def called(model, where, images):
    """Return what a model gives for images, as its user calls it."""
    try:
        with torch.no_grad(), no_autocast():
            return model(images)
    except Exception as error:
        raise InputError(f"{where}: cannot be run on the example: {first_line(error)}") from None


def no_autocast():
    """Return a context without the half precision that a training may be in."""
    return torch.autocast("cpu", enabled=False)


def check_repeats(model, where, images):
    """Raise `InputError` if a model gives another result the second time, or changes a buffer.

    Nor may a result depend on how many images there are beside an image.
    """
    before = [(name, buffer, _version(buffer)) for name, buffer in model.named_buffers()]
    with torch.random.fork_rng(devices=[]):
        first, second = called(model, where, images), called(model, where, images)
        more = called(model, where, torch.cat([images, images[:1]]))
    after = dict(model.named_buffers())
    for name, buffer, version in before:
        if after.get(name) is not buffer or _version(buffer) != version:
            raise InputError(f"{where}: buffer {name!r} must not change in evaluation mode")
    if not all(map(torch.is_tensor, (first, second, more))):
        return
    if not _are_same(first, second):
        raise InputError(
            f"{where}: forward must give the same result each time in evaluation mode, not"
            f" {_difference(first, second)}: leave out what is random or counts calls"
        )
    alone, beside = first.flatten(1), more.flatten(1)[:-1]
    if alone.shape != beside.shape or _differs(alone, beside):
        raise InputError(
            f"{where}: forward must give an image the same result whatever other images there are,"
            " and so not use their number but for the shape"
        )


def _version(tensor):
    """Return a number that changes with a tensor; PyTorch has none in inference mode."""
    return None if tensor.is_inference() else tensor._version


def check_same(where, result, traced):
    """Raise `InputError` unless a model's result is what its trace gives."""
    if not torch.is_tensor(result) or result.shape != traced.shape:
        raise InputError(f"{where}: forward must return what torch.fx traced: one tensor")
    if not _are_same(result, traced):
        raise InputError(
            f"{where}: forward must do what torch.fx traced, not give {_difference(result, traced)}"
            " there: leave out what the trace cannot see, such as a context or a branch"
        )


def _are_same(result, other):
    """Return whether two results are equal but for the order of additions."""
    if result.shape != other.shape:
        return False
    result, other = result.double(), other.double()
    tolerance = 1e-5 * result.abs().nan_to_num().max().item()
    return torch.allclose(result, other, rtol=0, atol=tolerance, equal_nan=True)


def _differs(result, other):
    """Return whether half of the numbers of two results differ by more than roundings."""
    return ((result - other).abs() > 0.01 * result.abs().max()).double().mean().item() > 0.5


def _difference(result, other):
    """Return how messages name the largest difference between two results."""
    if result.shape != other.shape:
        return f"shape {tuple(result.shape)} and {tuple(other.shape)}"
    worst = (result - other).abs().nan_to_num(nan=torch.inf).flatten().argmax()
    return f"{result.flatten()[worst]:g} and {other.flatten()[worst]:g}"


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
    """Return whether a module is a layer of PyTorch or ours, or a class of it that adds nothing."""
    return library_class(module) not in _CONTAINERS and own_method(module) is None


class _Tracer(fx.Tracer):
    """A tracer that notes in which module it stopped."""

    failed: str | None = None

    def is_leaf_module(self, module, qualified_name):
        return _is_leaf(module) or super().is_leaf_module(module, qualified_name)

    def _proxy_placeholder(self, name, concrete_args, sig, fn_for_analysis):
        # Arguments that the user need not give have their defaults, by which forward may branch.
        parameter = sig.parameters.get(name)
        if parameter is not None and parameter.default is not parameter.empty:
            return parameter.default
        return super()._proxy_placeholder(name, concrete_args, sig, fn_for_analysis)

    def path_of_module(self, mod):
        try:
            return super().path_of_module(mod)
        except NameError:
            raise NameError(
                f"a {type(mod).__name__} is called that is no submodule: keep it in an attribute or"
                " an nn.ModuleList, not in a list"
            ) from None

    def call_module(self, m, forward, args, kwargs):
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            paths = self.submodule_paths or {}
            if self.failed is None and m in paths:
                self.failed = place_of(paths[m], m)
            raise
