"""Gives a module a forward that calls other modules: the one that `torch.fx` traces, edited."""

import inspect

import torch
from torch import fx, nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.nodes import function_name, is_known
from hiddenite.training.exporter.tracer import Tracer, copied, traced_by
from hiddenite.training.layers.alterations import place_of
from hiddenite.training.layers.retraced import give_forward

_DROPOUTS = {
    "dropout": nn.Dropout,
    "dropout1d": nn.Dropout1d,
    "dropout2d": nn.Dropout2d,
    "dropout3d": nn.Dropout3d,
}


_TENSOR = object()
_CONSTANTS = (type(None), bool, int, float, str)


class Calls(Tracer):
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
        What its module is called with, as in `Calls`.
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


def rewrite(owner, path, reason, given, edit):
    """Give a module a forward that calls other modules than its own does.

    `path` and `reason` are how messages name the module and say why; `given` is what it is called
    with. `edit` gets module, path, graph and its dropouts; it returns places, as `with_modules`
    does.
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
            f" {reason}"
        )
    for name in constants:
        owner.register_buffer(name, getattr(copies[0], name), persistent=False)
    places = edit(owner, path, graph, dropouts)
    give_forward(owner, graph)
    return places


def put_in_place(owner, graph, node, module):
    """Let a graph call a module in the place of a node; return the module's name."""
    name = put_behind(owner, graph, node, node.name, module)
    (call,) = node.users
    call.args = (node.all_input_nodes[0],)
    graph.erase_node(node)
    return name


def put_behind(owner, graph, node, stem, module):
    """Let a graph call a module behind a node; return the module's name."""
    name = added(owner, stem, module)
    with graph.inserting_after(node):
        call = graph.call_module(name, (node,))
    node.replace_all_uses_with(call, lambda user, call=call: user is not call)
    return name


def added(owner, stem, module):
    """Add a child to a module and return its name."""
    name = _unused(owner, stem)
    owner.add_module(name, module.train(owner.training))
    return name


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
