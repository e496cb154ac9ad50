"""Makes modules of what a model's forward calls as functions, where a hidden model needs modules.

Rectifiers and averages round to 8 bits in a hidden model, which takes a module: `functional.relu`
in a forward becomes an `nn.ReLU`, and an average gets an `AverageEnd` behind it.
"""

from collections.abc import Callable
from typing import Any, cast

from torch import fx, nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.graph import prepared
from hiddenite.training.exporter.nodes import function_name, is_known, operation
from hiddenite.training.exporter.tracer import symbolic
from hiddenite.training.layers.alterations import place_of
from hiddenite.training.layers.rewriting import Calls, put_behind, put_in_place, rewrite

_AVERAGES = ("avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "mean")


class AverageEnd(nn.Identity):
    """Stands behind an average that is called as a function, where a hidden model rounds it."""


def _relu(input, inplace=False):
    return nn.ReLU(inplace)


def _relu6(input, inplace=False):
    return nn.ReLU6(inplace)


def _hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    return nn.Hardtanh(min_val, max_val, inplace)


def _clamp(input, min=None, max=None):
    if max is None:
        return _clamp_min(input, min)
    return nn.Hardtanh(0.0, max) if min == 0 and max > 0 else None


def _clamp_min(input, min):
    return nn.ReLU() if min == 0 else None


_RECTIFIERS: dict[str, Callable[..., nn.Module | None]] = {
    "relu": _relu,
    "relu6": _relu6,
    "hardtanh": _hardtanh,
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": _clamp_min,
}
"""Name of a function, without the underscore of its form in place -> what makes its module.

What gets no module is left, and refused where the hidden model is traced."""


def with_modules(model):
    """Make modules of the rectifiers and averages that a model calls as functions.

    A module whose forward calls some gets the forward that `torch.fx` traces in it; the new modules
    are its children. Dropout that is called as a function there becomes a module, too, since a
    trace has no other way to follow the mode.

    Parameters
    ----------
    model : nn.Module
        It is changed, but not in what it computes.

    Returns
    -------
    dict of str to str
        For the name of each new module, how messages name what it was made of.

    Raises
    ------
    InputError
        The model cannot be traced, or one of these modules does something else in training than in
        evaluation mode.
    """
    tracer = Calls()
    _, traced = symbolic(prepared(model), tracer)
    first: dict[str, fx.Node] = {}  # for each module, by its name, the first of its nodes
    for node in traced.graph.nodes:
        if _module_for(node) is not None:
            stack = list(node.meta.get("nn_module_stack", {}).values())
            first.setdefault(stack[-1][0] if stack else "", node)
    places: dict[str, str] = {}
    for path, node in first.items():
        owner, called = model.get_submodule(path), operation(node)
        calls = tracer.given.get(path, [{}])
        if any(call != calls[0] for call in calls):
            raise InputError(
                f"{place_of(path, owner)}: must be called with the same arguments but tensors each"
                f" time, as it calls {called}: use a module for that, such as nn.ReLU"
            )
        reason = f"as it calls {called}: use a module for that, such as nn.ReLU"
        places |= rewrite(owner, path, reason, calls[0], _functions_to_modules)
    return places


def _module_for(node):
    """Return the module that has to rectify or to round in the place of a node, or None."""
    if node.op not in ("call_function", "call_method") or not is_known(node):
        return None
    name = function_name(node)
    if name in _AVERAGES:
        return AverageEnd()
    make = _RECTIFIERS.get(name.removesuffix("_"))
    numbers = (*node.args[1:], *(value for key, value in node.kwargs.items() if key != "input"))
    if make is None or any(isinstance(number, fx.Node) for number in numbers):
        return None
    try:
        module = make(*node.args, **node.kwargs)
    except (TypeError, ValueError):  # PyTorch says more where it is run
        return None
    if module is not None and name.endswith("_"):
        cast("Any", module).inplace = True
    return module


def _functions_to_modules(owner, path, graph, dropouts):
    """Let a graph call modules instead of functions, and return how messages name those."""
    places = {}
    for node in list(graph.nodes):
        module = dropouts.get(node) or _module_for(node)
        if module is None:
            continue
        inside = f" in {path!r}" if path else ""
        place = f"node {node.name!r}{inside} ({operation(node)})"
        if isinstance(module, AverageEnd):
            name = put_behind(owner, graph, node, node.name, module)
        else:
            name = put_in_place(owner, graph, node, module)
        places[f"{path}.{name}".lstrip(".")] = place
    return places
