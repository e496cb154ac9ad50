"""Chooses what a unit of each activation of a hidden model stands for."""

import torch
from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.graph import IMAGE, INPUT_STEP, prepared, read
from hiddenite.training.exporter.rules import map_shape
from hiddenite.training.exporter.tracer import symbolic
from hiddenite.training.exporter.values import Averaged, Operand, Stored
from hiddenite.training.layers.activation import LEVELS, STEP, QuantizedIdentity, Quantizer
from hiddenite.training.layers.insertion import insert_modules
from hiddenite.training.layers.quantisers import Completing

_TOLERANCE = 1e-6
"""How far above a limit, in parts of it, the largest stored activation may be."""


def settle_steps(model, images, limits, averages, step=STEP, signed=False):
    """Give each activation of a hidden model its unit, and add the quantisers that it lacks.

    Where an activation reads stored activations without a sign, there is nothing to rectify, so
    that it changes nothing. An average has the range and the type of what it averages.

    Parameters
    ----------
    model : nn.Module
        A hidden model; it is changed.
    images : float tensor, (N, C, H, W), (N, C, L) or (N, C)
        Bytes times `INPUT_STEP`.
    limits : dict of str to float or None
        The names of the `QuantizedReLU`, and the largest number that each lets through, None if it
        has no limit of its own.
    averages : set of str
        The names of those that round averages. Where there is nothing to average, as the window is
        one pixel, they are replaced by `nn.Identity`.
    step : float
        As in `Completing`.
    signed : bool
        Whether the images' bytes have a sign.

    Raises
    ------
    InputError
        The hardware cannot do what the model does, or one of them would need two units.
    """
    steps: dict[str, float] = {}
    image = Stored(IMAGE, INPUT_STEP, map_shape(images.shape[1:]), signed)
    while True:
        _, module = symbolic(prepared(model))
        reader = _Settling(module, image, step, limits, averages, steps)
        read(reader, images)
        steps = reader.steps
        for name, quantizer in reader.signed.items():
            _replace(model, name, reader.own(model, quantizer))
            # It may be called by another of its names from now on.
            limits = {other: limit for other, limit in limits.items() if other != name}
            averages = averages - {name}
            steps.pop(name, None)
        if reader.lacks:
            _complete(model, reader)
        elif not (reader.grown or reader.signed):
            break
    for name, settled in steps.items():
        model.get_submodule(name).step = settled
    for name in reader.idle:
        _replace(model, name, nn.Identity())


def _complete(model, reader):
    """Give a model the quantisers that a reader has noted."""
    wanted = reader.behind if reader.behind or reader.before else reader.later
    behind = {origin: reader.own(model, quantizer) for origin, quantizer in wanted.items()}
    before = {key: reader.own(model, quantizer) for key, quantizer in reader.before.items()}
    for one, other in reader.merged:
        one, other = reader.own(model, one), reader.own(model, other)
        for parent in list(model.modules()):
            for name, child in list(parent._modules.items()):
                if child is other:
                    setattr(parent, name, one)
    insert_modules(model, behind, before)


def _replace(model, name, module):
    """Put a module where another one is."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


_BOTH = "averages activations with and without a sign: use a module for each"


class _Settling(Completing):
    """Reads a hidden model, and gives its activations their units on the way.

    Attributes
    ----------
    steps : dict of str to float
        The units by the names of the activations that have been called.
    idle : set of str
        The names of those that have no average to round.
    grown : bool
        Whether a unit has been raised after it was used.
    signed : dict of str to Quantizer
        What rounds averages of activations with a sign, by the name of what did so before.
    """

    def __init__(self, module, image, step, limits, averages, steps):
        super().__init__(module, image, step)
        self._limits, self._averages = limits, averages
        self._before, self.steps, self.idle, self.grown = steps, {}, set(), False
        self._places = {}
        self.signed: dict[str, Quantizer] = {}

    def own(self, model, quantizer):
        """Return a quantiser as a model has it, or a new one on the model's device."""
        if quantizer in self.names:
            own = model.get_submodule(self.names[quantizer])
            if isinstance(own, QuantizedIdentity):
                own.start = quantizer.start
            return own
        parameter = next(model.parameters(), torch.empty(0))
        return quantizer.to(parameter.device, parameter.dtype)

    def run_node(self, n):
        if n.op == "call_module" and n.target in self._limits and n.all_input_nodes:
            self._settle(n, self._values[n.all_input_nodes[0]])
        return super().run_node(n)

    def _settle(self, node, value):
        name = node.target
        idle = name in self._averages and not isinstance(value, Averaged)
        if name in (self.steps if idle else self.idle):
            place = self._places[name]
            raise InputError(
                f"{place}: must average everywhere or nowhere: use one module for each place"
            )
        self._places[name] = self._site(node).place
        if not idle:
            self._choose(node, value)
        elif name not in self.idle:
            self.idle.add(name)
            _replace(self.module, name, nn.Identity())

    def _settled(self, name, step):
        """Return the unit of a rectifier: its limit's, or what it has had before, or this one."""
        limit = self._limits[name]
        return self.steps.get(name, step) if limit is None else limit / LEVELS

    def _choose(self, node, value):
        name, module = node.target, self.fetch_attr(node.target)
        step = module.step
        if isinstance(value, Averaged) and value.input.signed:
            if name in self.steps:
                self._site(node).refuse(_BOTH)
            # With the unit of what is averaged, also where that is learnt.
            signed = self._maker(value.input) or QuantizedIdentity(value.input.step)
            self.signed[name] = signed
            _replace(self.module, name, signed)
            return
        if name in self.signed:
            self._site(node).refuse(_BOTH)
        if isinstance(value, Averaged):
            step = max(value.input.step, self.steps.get(name, self._before.get(name, 0.0)))
            self.grown |= step > self.steps.get(name, step)
        elif isinstance(value, Stored | Operand):
            stored = value if isinstance(value, Stored) else value.input
            step = stored.step
            if stored.signed:  # there is something to rectify
                step = self._settled(name, max(module.step, stored.step / 2))
            if self.steps.get(name, step) != step:
                self._site(node).refuse(
                    f"is called for activations of two units, {self.steps[name]:g} and {step:g}:"
                    " use a module for each"
                )
        limit = self._limits[name]
        if limit is not None and isinstance(value, Averaged | Stored | Operand):
            largest = LEVELS * step
            if largest > limit * (1 + _TOLERANCE):
                self._site(node).refuse(
                    f"must not cut at {limit:g} what is stored already, up to {largest:g}: call it"
                    " for a convolution's result, or leave it out"
                )
        self.steps[name] = module.step = step
