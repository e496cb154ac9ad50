"""Traces a model with `torch.fx`: layers of PyTorch and of this package are its nodes."""

import copy

import torch
from torch import fx, nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.order import rectify_first
from hiddenite.training.layers.alterations import (
    is_normalize,
    library_class,
    own_method,
    place_of,
)

ORIGIN = "origin"
"""Key in the `meta` of a node that calls something: the name of the module in whose forward that
is, and the number of the call there. Calls of modules count that are traced into, too."""

_CONTAINERS = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)


def first_line(error):
    """Return the first line of an exception's text, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


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


def symbolic(model, tracer=None):
    """Return what a model is called as, and what `torch.fx` traces in it.

    Parameters
    ----------
    model : nn.Module
        The model; it is not called.
    tracer : Tracer, optional
        What traces it.

    Returns
    -------
    nn.Module
        The model, or a container of it: a model that is a layer itself would be traced into.
    fx.GraphModule
        The trace, with rectifiers in front of the maximum poolings that they are behind.

    Raises
    ------
    InputError
        It cannot be traced, or has not one input.
    """
    root = nn.Sequential(model) if _is_leaf(model) else model
    where = f"model {type(model).__name__}"
    # What forward keeps while it is traced is none of the model's.
    apart = copied(root)
    graph = traced_by(tracer or Tracer(), apart, where)
    inputs = [node.name for node in graph.nodes if node.op == "placeholder" and not node.args]
    if len(inputs) != 1:
        raise InputError(f"{where}: forward must have one input, not {', '.join(inputs) or 'none'}")
    module = fx.GraphModule(apart, graph)
    rectify_first(module)
    return root, module


def traced_by(tracer, model, where):
    """Return the `fx.Graph` of a model, or raise `InputError` that names it as `where` says."""
    try:
        return tracer.trace(model)
    except Exception as error:
        reason = first_line(error)
        if reason.startswith("'len' is not supported"):
            reason = "it calls len of a tensor: write x.shape[0]"
        raise InputError(
            f"{tracer.failed or where}: forward must do the same for every image, so that torch.fx"
            f" can trace it, not stop with: {reason}"
        ) from None


def _is_leaf(module):
    """Return whether a module is a layer of PyTorch or ours, or a class of it that adds nothing."""
    if is_normalize(module):
        return True
    return library_class(module) not in _CONTAINERS and own_method(module) is None


class Tracer(fx.Tracer):
    """A tracer that notes in which module it stopped, and where each call comes from."""

    failed: str | None = None

    def __init__(self):
        super().__init__()
        # The modules whose forward is traced, and how many calls each has made.
        self._calls: list[tuple[str, int]] = [("", 0)]

    def create_node(self, kind, *args, **kwargs):
        node = super().create_node(kind, *args, **kwargs)
        if kind.startswith("call"):
            node.meta[ORIGIN] = self._count()
        return node

    def _count(self):
        """Count a call, and return its origin."""
        path, number = self._calls[-1]
        self._calls[-1] = path, number + 1
        return self._calls[-1]

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
        inner = not self.is_leaf_module(m, "")
        if inner:
            self._count()
            self._calls.append((self.path_of_module(m), 0))
        try:
            result = super().call_module(m, forward, args, kwargs)
            if inner:
                self._calls.pop()
            return result
        except Exception:
            paths = self.submodule_paths or {}
            if self.failed is None and m in paths:
                self.failed = place_of(paths[m], m)
            raise
