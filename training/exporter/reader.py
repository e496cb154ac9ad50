"""Runs a traced model on an example and notes which layers of the hardware it is."""

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hiddenite.training.exporter import rules
from hiddenite.training.exporter.values import (
    Accumulated,
    Averaged,
    AveragePlan,
    ConvPlan,
    MaxPlan,
    Stored,
    Value,
)
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import CodedConv2d

_PASSED_MODULES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_PASSED = ("contiguous", "clone", "float")
_RESHAPING = ("flatten", "reshape", "view", "squeeze", "unsqueeze")
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": rules.add,
    "add_": rules.add,
    "iadd": rules.add,
    "sub": rules.sub,
    "max_pool2d": rules.max_pool,
    "avg_pool2d": rules.avg_pool,
    "adaptive_avg_pool2d": rules.adaptive_avg_pool,
    "mean": rules.mean,
    "dropout": rules.dropout,
    "dropout1d": rules.dropout,
    "dropout2d": rules.dropout,
    "dropout3d": rules.dropout,
}
_POOLS: dict[type[nn.Module], Callable[..., Any]] = {
    nn.MaxPool2d: rules.max_pool,
    nn.AvgPool2d: rules.avg_pool,
    nn.AdaptiveAvgPool2d: rules.adaptive_avg_pool,
}
"""Their attributes are named as the rules' arguments."""


def first_line(error):
    """Return the first line of an exception's text, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class Reader(fx.Interpreter):
    """Runs a traced model and notes what each of its values is on the hardware.

    Parameters
    ----------
    module : fx.GraphModule
        The model, in evaluation mode.
    image : Stored
        Its input.

    Attributes
    ----------
    nodes : dict of str to str
        For the image and each layer, the name of the first node that has its output.
    """

    def __init__(self, module, image):
        super().__init__(module)
        self.extra_traceback = False
        self.image = image
        self._values = {}  # node -> Value, or a constant
        self._layers = []
        self._stored = {}  # (value, step) -> Stored, so that no layer is there twice
        self._names = {image.name}
        self._result: tuple[str, bool] | None = None
        self.nodes = {}

    def layers_of_result(self):
        """Return the layers that the result needs, and whether it is (N, C)."""
        assert self._result is not None, "the model has run"
        name, flat = self._result
        wanted, kept = {name}, []
        for layer in reversed(self._layers):
            if layer.name in wanted:
                kept.append(layer)
                wanted.update(layer.inputs)
        return tuple(reversed(kept)), flat

    def run_node(self, n):
        """Run a node, as `fx.Interpreter` does, and note what its value is."""
        module = self.fetch_attr(n.target) if n.op == "call_module" else None
        if isinstance(module, CodedConv2d):
            # Before it runs: with such numbers it may not, and says less.
            for name, tensor in module.weights.named_parameters():
                rules.check_finite(self._site(n).place, name, tensor)
        try:
            result = super().run_node(n)
        except Exception as error:
            self._site(n).refuse(f"cannot be run on the example: {first_line(error)}")
        value = self._values[n] = self._value(n, result)
        if isinstance(value, Stored):
            self.nodes.setdefault(value.name, n.name)
        return result

    def _site(self, node, result=None):
        place, name = node.op, node.name
        if node.op == "call_module":
            name = str(node.target)
            place = f"module {name!r} ({type(self.fetch_attr(name)).__name__})"
        elif node.op.startswith("call"):
            modules = list(node.meta.get("nn_module_stack", {}).values())
            inside = f" in {modules[-1][0]!r}" if modules and modules[-1][0] else ""
            place = f"node {name!r}{inside} ({_operation(node)})"
        return rules.Site(place, name, result)

    def _value(self, node, result):
        if node.op == "placeholder":
            return result if node.args else self.image
        site = self._site(node, result)
        args = fx.node.map_arg(node.args, self._values.get)
        kwargs = fx.node.map_arg(node.kwargs, self._values.get)
        if node.op == "output":
            return self._finish(site, args[0], node.args[0])
        if not any(isinstance(self._values[source], Value) for source in node.all_input_nodes):
            if node.op == "call_module" and not node.args:
                site.refuse("must be called by its layer: call the layer itself, not its forward")
            if node.op == "call_module":
                site.refuse("must read what comes from the image, not a constant")
            return result
        if isinstance(result, int | float | torch.Size | torch.dtype | torch.device):
            return result
        if node.op == "call_module":
            value = self._module(site, self.fetch_attr(node.target), *args, **kwargs)
        else:
            value = self._function(site, node, args, kwargs)
        if isinstance(value, MaxPlan):
            self._layers.append(replace(value, name=self._unique(value.name)))
            return Stored(self._layers[-1].name, value.input.step, value.shape)
        return value

    def _module(self, site, module, *args, **kwargs):
        if len(args) + len(kwargs) != 1:
            site.refuse("must have one input")
        (value,) = (*args, *kwargs.values())
        if isinstance(module, CodedConv2d):
            return rules.conv(site, module, value)
        if isinstance(module, QuantizedReLU):
            return self._quantize(site, module.step, value)
        if isinstance(module, _BatchNorm):
            return rules.norm(site, module, value)
        for kind, rule in _POOLS.items():
            if isinstance(module, kind):
                names = [name for name in inspect.signature(rule).parameters][2:]
                return rule(site, value, **{name: getattr(module, name) for name in names})
        if isinstance(module, nn.Flatten):
            return rules.reshape(site, value)
        if isinstance(module, _PASSED_MODULES):
            return value
        return site.refuse(rules.hint(type(module).__name__))

    def _function(self, site, node, args, kwargs):
        name = _operation(node).rpartition(".")[2]
        if name in ("add_", "iadd") and is_used_later(node):
            site.refuse("must not change a tensor that is used again: use +")
        if not _is_known(node):
            site.refuse("the hardware has no such operation")
        rule = _FUNCTIONS.get(name)
        if rule is not None:
            try:
                inspect.signature(rule).bind(site, *args, **kwargs)
            except TypeError as error:
                site.refuse(f"has arguments that the export does not know: {error}")
            return rule(site, *args, **kwargs)
        value = args[0] if args else kwargs.get("input")
        if name in _PASSED:
            return value
        if name in _RESHAPING:
            return rules.reshape(site, value)
        return site.refuse(rules.hint(name))

    def _unique(self, stem):
        """Return a name that no other layer has."""
        name, number = stem, 1
        while name in self._names:
            number += 1
            name = f"{stem}_{number}"
        self._names.add(name)
        return name

    def _quantize(self, site, step, value):
        """Round a value to 8 bits: that makes a layer."""
        if not isinstance(step, int | float) or not 0 < step < math.inf:
            site.refuse(f"its step must be a finite number above 0, not {step!r}")
        if isinstance(value, Stored):
            if value.step != step:
                site.refuse(f"step must be {value.step:g}, as of {value}, not {step:g}")
            return value
        key = value, step
        if key not in self._stored:
            plan = AveragePlan if isinstance(value, Averaged) else ConvPlan
            self._layers.append(plan(self._unique(value.place), value, step))
            self._stored[key] = Stored(self._layers[-1].name, step, value.shape)
        return self._stored[key]

    def _finish(self, site, value, node):
        """Note the result; a convolution's signed one makes the last layer."""
        if not isinstance(value, Value):
            site.refuse("forward must return one tensor that depends on the image")
        if isinstance(value, Averaged):
            site.refuse(f"must be rounded to 8 bits, not {value}: put a QuantizedReLU behind it")
        name = value.name if isinstance(value, Stored) else self._unique(value.place)
        if isinstance(value, Accumulated):
            self._layers.append(ConvPlan(name, value, None))
            self.nodes[name] = node.name
        self._result = name, len(site.shape) == 2
        return value


def _operation(node):
    """Return how messages name what a node calls."""
    if node.op == "call_method":
        return f"Tensor.{node.target}"
    target = node.target
    return torch.overrides.resolve_name(target) or getattr(target, "__name__", str(target))


def _is_known(node):
    """Return whether a node calls what PyTorch or Python has by that name."""
    if node.op == "call_method" or torch.overrides.resolve_name(node.target):
        return True
    return (getattr(node.target, "__module__", None) or "").startswith(("_operator", "torch."))


def is_used_later(node):
    """Return whether the tensor that a node changes in place is read behind it.

    It is the node's first argument, which other nodes may have given another shape or name.
    """
    order = {other: number for number, other in enumerate(node.graph.nodes)}
    same, queue = set(), list(node.args[:1])
    while queue:
        other = queue.pop()
        if isinstance(other, fx.Node) and other not in same:
            same.add(other)
            queue += other.args[:1] if _is_alias(other) else ()
            queue += [user for user in other.users if _is_alias(user) and user is not node]
    return any(order[user] > order[node] for other in same for user in other.users)


def _is_alias(node):
    """Return whether the result of a node may be its first argument under another name."""
    if node.op == "call_module":
        module = node.graph.owning_module.get_submodule(node.target)
        return isinstance(module, (*_PASSED_MODULES, nn.Flatten))
    name = _operation(node).rpartition(".")[2] if node.op.startswith("call") else ""
    return name != "clone" and (name in _PASSED + _RESHAPING or "dropout" in name)
