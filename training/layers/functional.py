"""Makes modules of what a model's forward calls as functions, where a hidden model needs modules.

Rectifiers and averages round to 8 bits in a hidden model, which takes a module: `functional.relu`
in a forward becomes an `nn.ReLU`, and an average gets an `AverageEnd` behind it.
"""

import inspect
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import fx, nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.graph import prepared
from hiddenite.training.exporter.nodes import function_name, is_known, operation
from hiddenite.training.exporter.tracer import Tracer, copied, symbolic, traced_by
from hiddenite.training.layers.alterations import place_of
from hiddenite.training.layers.retraced import give_forward

_AVERAGES = ("avg_pool2d", "adaptive_avg_pool2d", "mean")

_DROPOUTS = {
    "dropout": nn.Dropout,
    "dropout1d": nn.Dropout1d,
    "dropout2d": nn.Dropout2d,
    "dropout3d": nn.Dropout3d,
}


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
    tracer = _Calls()
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
        places |= _rewrite(owner, path, called, calls[0])
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


_TENSOR = object()
_CONSTANTS = (type(None), bool, int, float, str)


class _Calls(Tracer):
    """A tracer that notes with what modules are called.

    Attributes
    ----------
    given : dict of str to list of dict
        For the name of each module, the arguments of each call: a constant, or `_TENSOR`.
    """

    def __init__(self):
        super().__init__()
        self.given = {}

    def call_module(self, m, forward, args, kwargs):
        if not self.is_leaf_module(m, ""):
            given = inspect.signature(m.forward).bind(*args, **kwargs).arguments
            given = {
                name: value if isinstance(value, _CONSTANTS) else _TENSOR
                for name, value in given.items()
            }
            self.given.setdefault(self.path_of_module(m), []).append(given)
        return super().call_module(m, forward, args, kwargs)


class _Shallow(Tracer):
    """A tracer that goes into no other module.

    Parameters
    ----------
    given : dict
        What its module is called with, as in `_Calls`.
    """

    def __init__(self, given):
        super().__init__()
        self._given = given

    def is_leaf_module(self, module, qualified_name):
        return True

    def _proxy_placeholder(self, name, concrete_args, sig, fn_for_analysis):
        if name not in self._given:
            return super()._proxy_placeholder(name, concrete_args, sig, fn_for_analysis)
        default = sig.parameters[name].default
        argument = self.create_proxy(
            "placeholder", name, () if default is inspect.Parameter.empty else (default,), {}
        )
        return argument if self._given[name] is _TENSOR else self._given[name]


def _rewrite(owner, path, called, given):
    """Give a module a forward that calls modules instead of functions.

    `path` and `called` are how messages name the module and one of its functions; `given` is what
    it is called with. Returns places, as `with_modules` does.
    """
    place = place_of(path, owner)
    copies = [copied(owner).train(mode) for mode in (True, False)]
    graph, evaluated = (traced_by(_Shallow(given), copy, place) for copy in copies)
    dropouts = _dropouts(graph, evaluated)
    constants = [node.target for node in graph.nodes if node.op == "get_attr"]
    constants = [name for name in constants if not hasattr(owner, name.partition(".")[0])]
    same = all(torch.equal(*(getattr(copy, name) for copy in copies)) for name in constants)
    if dropouts is None or not same:
        raise InputError(
            f"{place}: forward must do the same in training as in evaluation mode, but for dropout,"
            f" as it calls {called}: use a module for that, such as nn.ReLU"
        )
    for name in constants:
        owner.register_buffer(name, getattr(copies[0], name), persistent=False)
    places = {}
    for node in list(graph.nodes):
        module = dropouts.get(node) or _module_for(node)
        if module is None:
            continue
        name = _unused(owner, node.name)
        owner.add_module(name, module.train(owner.training))
        inside = f" in {path!r}" if path else ""
        places[f"{path}.{name}".lstrip(".")] = f"node {node.name!r}{inside} ({operation(node)})"
        with graph.inserting_after(node):
            call = graph.call_module(name, (node,))
        node.replace_all_uses_with(call, lambda user, call=call: user is not call)
        if not isinstance(module, AverageEnd):
            call.args = (node.all_input_nodes[0],)
            graph.erase_node(node)
    give_forward(owner, graph)
    return places


def _dropouts(training, evaluated):
    """Return the modules for dropouts that follow the mode, node to module.

    None if the graphs of a module in training and in evaluation mode differ in anything else.
    """
    if len(training.nodes) != len(evaluated.nodes):
        return None
    modules: dict[fx.Node, nn.Module] = {}
    for node, other in zip(training.nodes, evaluated.nodes, strict=True):
        if _call(node) != _call(other):
            module = _dropout(node, other)
            if module is None:
                return None
            modules[node] = module
    return modules


def _call(node):
    """Return what a node does, in terms that can be compared."""
    arguments = fx.node.map_arg((node.args, node.kwargs), lambda source: source.name)
    return node.op, node.target, arguments


def _dropout(node, other):
    """Return the module for a dropout that drops in training mode alone, or None."""
    if node.op != "call_function" or node.target is not other.target or not is_known(node):
        return None
    make = _DROPOUTS.get(function_name(node))
    try:
        source, p, drops, inplace = _options(*node.args, **node.kwargs)
        same = (source, p, False, inplace) == _options(*other.args, **other.kwargs)
    except TypeError:
        return None
    return make(p, inplace) if make and drops is True and same else None


def _options(input, p=0.5, training=True, inplace=False):
    return input.name, p, training, inplace


def _unused(module, name):
    """Return a name that no attribute of a module has."""
    stem, number = name, 0
    while hasattr(module, name):
        number += 1
        name = f"{stem}_{number}"
    return name
