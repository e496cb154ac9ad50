"""Runs a traced model on an example and notes which layers of the hardware it is."""

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hiddenite.training.exporter import arithmetic, joins, norms, pools, rules
from hiddenite.training.exporter.nodes import (
    PASSED,
    PASSED_MODULES,
    RESHAPING,
    function_name,
    is_known,
    is_used_later,
    operation,
)
from hiddenite.training.exporter.plans import (
    AddPlan,
    AveragePlan,
    ConvPlan,
    KeptPlan,
    Plan,
)
from hiddenite.training.exporter.tracer import first_line
from hiddenite.training.exporter.values import (
    Accumulated,
    Averaged,
    Hosted,
    Operand,
    Stored,
    Summed,
    Value,
)
from hiddenite.training.layers.activation import Quantizer
from hiddenite.training.layers.alterations import is_normalize
from hiddenite.training.layers.coded import CodedConv2d
from hiddenite.training.layers.weights import HiddenWeights

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("add", "add_", "iadd"), arithmetic.add),
    **dict.fromkeys(("sub", "sub_", "isub", "subtract"), arithmetic.sub),
    **dict.fromkeys(("mul", "mul_", "imul", "multiply"), arithmetic.mul),
    **dict.fromkeys(
        ("div", "div_", "truediv", "itruediv", "divide", "true_divide"), arithmetic.div
    ),
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **_ARITHMETIC,
    "pad": arithmetic.pad,
    **dict.fromkeys(("cat", "concat", "concatenate"), joins.concat),
    "interpolate": joins.interpolate,
    "max_pool1d": pools.max_pool_rows,
    "avg_pool1d": pools.avg_pool_rows,
    "adaptive_max_pool1d": pools.adaptive_max_pool,
    "adaptive_avg_pool1d": pools.adaptive_avg_pool,
    "max_pool2d": pools.max_pool,
    "avg_pool2d": pools.avg_pool,
    "adaptive_max_pool2d": pools.adaptive_max_pool,
    "adaptive_avg_pool2d": pools.adaptive_avg_pool,
    "amax": pools.amax,
    "mean": pools.mean,
    "dropout": rules.dropout,
    "dropout1d": rules.dropout,
    "dropout2d": rules.dropout,
    "dropout3d": rules.dropout,
    "softmax": rules.softmax,
    "log_softmax": rules.log_softmax,
    "argmax": rules.argmax,
}
_MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_AVG_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
_MODULES: dict[type[nn.Module], tuple[Callable[..., Any], tuple[str, ...]]] = {
    nn.MaxPool1d: (pools.max_pool_rows, _MAX_POOL),
    nn.AvgPool1d: (pools.avg_pool_rows, _AVG_POOL),
    nn.AdaptiveMaxPool1d: (pools.adaptive_max_pool, ("output_size", "return_indices")),
    nn.AdaptiveAvgPool1d: (pools.adaptive_avg_pool, ("output_size",)),
    nn.Upsample: (joins.interpolate, ("size", "scale_factor", "mode")),
    nn.MaxPool2d: (pools.max_pool, _MAX_POOL),
    nn.AvgPool2d: (pools.avg_pool, (*_AVG_POOL, "divisor_override")),
    nn.AdaptiveMaxPool2d: (pools.adaptive_max_pool, ("output_size", "return_indices")),
    nn.AdaptiveAvgPool2d: (pools.adaptive_avg_pool, ("output_size",)),
    nn.Softmax: (rules.softmax, ("dim",)),
    nn.LogSoftmax: (rules.log_softmax, ("dim",)),
}
"""The rule for a module, and the module's attributes that are the rule's arguments, by name."""


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
    host : Hosted or None
        What the model does with the result, which is left to the host.
    """

    def __init__(self, module, image):
        super().__init__(module)
        self.extra_traceback = False
        self.image = image
        self._values = {}  # node -> Value, or a constant
        self._layers: list[Plan] = []
        self._seed = next(
            (weights.seed for weights in module.modules() if isinstance(weights, HiddenWeights)),
            1,
        )
        self._stored = {}  # (value, step) -> Stored, so that no layer is there twice
        self._names = {image.name}
        self._result: tuple[str, bool, bool] | None = None
        self.host: Hosted | None = None
        self.nodes = {}

    def layers_of_result(self):
        """Return the layers that the result needs, and whether it is (N, C) or (N, C, L)."""
        assert self._result is not None, "the model has run"
        name, flat, rows = self._result
        wanted, kept = {name}, []
        for layer in reversed(self._layers):
            if layer.name in wanted:
                kept.append(layer)
                wanted.update(layer.inputs)
        return tuple(reversed(kept)), flat, rows

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
            place = f"node {name!r}{inside} ({operation(node)})"
        return rules.Site(place, name, result, self._seed)

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
        for source in node.all_input_nodes:
            if isinstance(self._values[source], Hosted):
                site.refuse(f"must not read {self._values[source]}, which is left to the host")
        if node.op == "call_module":
            value = self._module(site, self.fetch_attr(node.target), *args, **kwargs)
        else:
            value = self._function(site, node, args, kwargs)
        if isinstance(value, KeptPlan):
            self._layers.append(replace(value, name=self._unique(value.name)))
            source = value.input
            return Stored(self._layers[-1].name, source.step, value.shape, source.signed)
        return value

    def _module(self, site, module, *args, **kwargs):
        if len(args) + len(kwargs) != 1:
            site.refuse("must have one input")
        (value,) = (*args, *kwargs.values())
        if isinstance(module, CodedConv2d):
            return rules.conv(site, module, value)
        if isinstance(module, Quantizer):
            return self._quantizer(site, module, value)
        if isinstance(module, _BatchNorm):
            return norms.norm(site, module, value)
        for kind, (rule, names) in _MODULES.items():
            if isinstance(module, kind):
                return rule(site, value, **{name: getattr(module, name) for name in names})
        if isinstance(module, nn.Softmax2d):
            return rules.softmax(site, value, -3)
        if isinstance(module, nn.ConstantPad1d | nn.ConstantPad2d):
            return arithmetic.pad(site, value, module.padding, value=module.value)
        if is_normalize(module):
            return arithmetic.normalize(site, module, value)
        if isinstance(module, nn.Flatten):
            return rules.reshape(site, value)
        if isinstance(module, PASSED_MODULES):
            return value
        return site.refuse(rules.hint(type(module).__name__))

    def _function(self, site, node, args, kwargs):
        name = function_name(node)
        if not is_known(node):
            site.refuse("the hardware has no such operation")
        rule = _FUNCTIONS.get(name)
        if name in _ARITHMETIC:
            if name.endswith("_") and is_used_later(node):
                operator = {"add_": "+", "sub_": "-", "mul_": "*"}.get(name, "/")
                site.refuse(f"must not change a tensor that is used again: use {operator}")
            values = (*args, *kwargs.values())
            if any(isinstance(value, Stored | Operand) for value in values) and self._learns(node):
                site.refuse(
                    "its constant must stay the same in training: use a buffer, not a parameter"
                )
        if rule is not None:
            try:
                inspect.signature(rule).bind(site, *args, **kwargs)
            except TypeError as error:
                site.refuse(f"has arguments that the export does not know: {error}")
            return rule(site, *args, **kwargs)
        value = args[0] if args else kwargs.get("input")
        if name in PASSED:
            return value
        if name in RESHAPING:
            return rules.reshape(site, value)
        return site.refuse(rules.hint(name))

    def _learns(self, node):
        """Return whether a parameter that is trained decides the constant in a node."""
        queue = [source for source in node.all_input_nodes if not self._depends(source)]
        for source in queue:
            queue += source.all_input_nodes
            if source.op == "get_attr" and getattr(self._values[source], "requires_grad", False):
                return True
        return False

    def _depends(self, node):
        return isinstance(self._values[node], Value)

    def _unique(self, stem):
        """Return a name that no other layer has."""
        name, number = stem, 1
        while name in self._names:
            number += 1
            name = f"{stem}_{number}"
        self._names.add(name)
        return name

    def _quantizer(self, site, module, value):
        """What rounds a value to 8 bits."""
        return self._quantize(site, value, module.step, module.signed)

    def _quantize(self, site, value, step, signed):
        """Round a value to 8 bits: that makes a layer, but where it has been done already."""
        if not isinstance(step, int | float) or not 0 < step < math.inf:
            site.refuse(f"its step must be a finite number above 0, not {step!r}")
        if isinstance(value, Hosted):
            site.refuse(f"must not read {value}, which is left to the host")
        stored = value.input if isinstance(value, Operand) else value
        if isinstance(value, Operand) and not value.is_padded_only:
            ones = torch.ones(value.shape[0], dtype=torch.float64)
            value = norms.channelwise(site, value, ones, 0 * ones)
        elif isinstance(stored, Stored):
            if (stored.step, stored.signed) == (step, signed):
                return value
            new = self._layer(site, Summed(site.name, stored, None, stored.shape), step, signed)
            return replace(value, input=new) if isinstance(value, Operand) else new
        return self._layer(site, value, step, signed)

    def _layer(self, site, value, step, signed):
        """Return the stored activations of a layer that rounds a value."""
        if isinstance(value, Averaged) and value.input.signed != signed:
            kind = "QuantizedIdentity" if value.input.signed else "QuantizedReLU"
            site.refuse(f"{value} has the type of {value.input}: put a {kind} behind it")
        key = value, step, signed
        if key not in self._stored:
            plan = {Averaged: AveragePlan, Summed: AddPlan}.get(type(value), ConvPlan)
            self._layers.append(plan(self._unique(value.place), value, step, signed))
            self._stored[key] = Stored(self._layers[-1].name, step, value.shape, signed)
        return self._stored[key]

    def _finish(self, site, value, node):
        """Note the result; a convolution's signed one makes the last layer."""
        if not isinstance(value, Value):
            site.refuse("forward must return one tensor that depends on the image")
        flat, rows = len(site.shape) == 2, len(site.shape) == 3
        if not isinstance(value, Hosted) and len(site.shape) not in (2, 3, 4):
            site.refuse(f"must be of shape (N, C), (N, C, L) or (N, C, H, W), not {site.shape}")
        if isinstance(value, Hosted):
            self.host, flat, rows = value, value.flat, value.rows
            value, (node,) = value.value, node.all_input_nodes
        if isinstance(value, Averaged | Summed):
            rule = f"must be rounded to 8 bits, not {value}: put a QuantizedReLU behind it"
            value = site.stored(value, rule)
        if isinstance(value, Operand):
            rule = f"must be a layer's result, not {value}, which only a convolution reads"
            value = site.stored(value, rule)
        name = value.name if isinstance(value, Stored) else self._unique(value.place)
        if isinstance(value, Accumulated):
            self._layers.append(ConvPlan(name, value, None))
            self.nodes[name] = node.name
        self._result = name, flat, rows
        return value
