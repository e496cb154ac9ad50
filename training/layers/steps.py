"""Chooses what a unit of each activation of a hidden model stands for."""

from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.graph import IMAGE, INPUT_STEP, prepared, read
from hiddenite.training.exporter.reader import Reader
from hiddenite.training.exporter.tracer import symbolic
from hiddenite.training.exporter.values import Averaged, Operand, Stored
from hiddenite.training.layers.activation import LEVELS

_TOLERANCE = 1e-6
"""How far above a limit, in parts of it, the largest stored activation may be."""


def settle_steps(model, images, limits, averages):
    """Give each activation that reads stored activations, or an average of some, their unit.

    There is nothing to rectify there, so that it changes nothing, and an average has the range of
    what it averages.

    Parameters
    ----------
    model : nn.Module
        A hidden model; it is changed.
    images : float tensor, (N, C, H, W)
        Bytes times `INPUT_STEP`.
    limits : dict of str to float or None
        The names of the `QuantizedReLU`, and the largest number that each lets through, None if it
        has no limit of its own.
    averages : set of str
        The names of those that round averages. Where there is nothing to average, as the window is
        one pixel, they are replaced by `nn.Identity`.

    Raises
    ------
    InputError
        The hardware cannot do what the model does, or one of them would need two units.
    """
    steps: dict[str, float] = {}
    reader = None
    while reader is None or reader.grown:
        _, module = symbolic(prepared(model))
        image = Stored(IMAGE, INPUT_STEP, (*images.shape[1:],))
        reader = _Settling(module, image, limits, averages, steps)
        read(reader, images)
        steps = reader.steps
    for name, step in steps.items():
        model.get_submodule(name).step = step
    for name in reader.idle:
        _replace(model, name)


def _replace(model, name):
    """Put an `nn.Identity` where a module is."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, nn.Identity())


class _Settling(Reader):
    """Reads a hidden model, and gives its activations their units on the way.

    Attributes
    ----------
    steps : dict of str to float
        The units by the names of the activations that have been called.
    idle : set of str
        The names of those that have no average to round.
    grown : bool
        Whether a unit has been raised after it was used.
    """

    def __init__(self, module, image, limits, averages, steps):
        super().__init__(module, image)
        self._limits, self._averages = limits, averages
        self._before, self.steps, self.idle, self.grown = steps, {}, set(), False
        self._places = {}

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
            _replace(self.module, name)

    def _choose(self, node, value):
        name, module = node.target, self.fetch_attr(node.target)
        step = module.step
        if isinstance(value, Averaged):
            step = max(value.input.step, self.steps.get(name, self._before.get(name, 0.0)))
            self.grown |= step > self.steps.get(name, step)
        elif isinstance(value, Stored | Operand):
            step = value.step if isinstance(value, Stored) else value.input.step
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
