"""Finds where a hidden model needs 8 bits that none of its rectifiers and averages rounds to.

A linear bottleneck, a shortcut without a rectifier or a sum that a convolution reads gets a
`QuantizedIdentity` behind it; the parts of a concatenation get one unit and one type.
"""

import math
from dataclasses import replace
from typing import Any

from torch.nn.modules.batchnorm import _BatchNorm

from hiddenite.training.exporter.plans import KeptPlan
from hiddenite.training.exporter.reader import Reader
from hiddenite.training.exporter.tracer import ORIGIN
from hiddenite.training.exporter.values import (
    Accumulated,
    Averaged,
    Operand,
    Stored,
    Summed,
    Value,
)
from hiddenite.training.layers.activation import (
    HIGHEST,
    QuantizedIdentity,
    QuantizedReLU,
    Quantizer,
)


class Completing(Reader):
    """Reads a hidden model and notes the quantisers that it lacks, reading on as if it had them.

    Parameters
    ----------
    module, image
        As in `Reader`.
    step : float
        Unit of activations without a sign; signed ones have twice that at first, times the root of
        how many results are added up.

    Attributes
    ----------
    behind, later : dict of (str, int) to Quantizer
        What is to be put behind a call of a module or a function, by its origin. What is in `later`
        is only needed if nothing in `behind` takes its place.
    before : dict of ((str, int), int) to Quantizer
        What is to be put in front of one of the parts that a concatenation reads.
    merged : list of (Quantizer, Quantizer)
        Two that must be one, the first of them, as what they round is concatenated.
    names : dict of Quantizer to str
        Those that the model has.
    """

    def __init__(self, module, image, step):
        super().__init__(module, image)
        self._step = step
        self.behind: dict[tuple[str, int], Quantizer] = {}
        self.later: dict[tuple[str, int], Quantizer] = {}
        self.before: dict[tuple[tuple[str, int], int], Quantizer] = {}
        self.merged: list[tuple[Quantizer, Quantizer]] = []
        self.names = {
            quantizer: name
            for name, quantizer in module.named_modules()
            if isinstance(quantizer, Quantizer)
        }
        self._makers: dict[str, Quantizer] = {}  # name of a layer -> what rounds its output
        self._rounds: list[tuple[Value, Stored]] = []
        self._current: Any = None  # the node that is read

    @property
    def lacks(self):
        """Whether the model lacks a quantiser, or has two that must be one."""
        return bool(self.behind or self.later or self.before or self.merged)

    def _site(self, node, result=None):
        self._current = node
        return replace(super()._site(node, result), rounded=self._rounded, joined=self._joined)

    def _quantizer(self, site, module, value):
        stored = super()._quantizer(site, module, value)
        if isinstance(stored, Stored):
            self._makers.setdefault(stored.name, module)
        return stored

    def _rounded(self, site, value, rule, later=False):
        """Note a quantiser behind a value, and return what it makes of it."""
        for before, stored in self._rounds:
            if before is value:  # an operation may read it twice
                return stored
        node = next(node for node, other in self._values.items() if other is value)
        wanted = self.later if later else self.behind
        quantizer: Quantizer
        if isinstance(value, Averaged) and not value.input.signed:
            quantizer = QuantizedReLU(value.input.step)
        else:
            quantizer = QuantizedIdentity(self._first_step(node, value))
        quantizer = wanted.setdefault(node.meta[ORIGIN], quantizer)
        stored = self._quantize(site, value, quantizer.step, quantizer.signed)
        self._makers[stored.name] = quantizer
        self._rounds.append((value, stored))
        for other, known in self._values.items():
            if known is value:
                self._values[other] = stored
        return stored

    def _first_step(self, node, value):
        """Return the step of a value's quantiser before it has been trained."""
        learns = node.op == "call_module" and isinstance(self.fetch_attr(node.target), _BatchNorm)
        if isinstance(value, Operand) and not learns:
            reach = max(map(abs, value.input.range)) * value.input.step * abs(value.factor)
            offset = 0.0 if value.offset is None else value.offset.abs().max().item()
            return (reach + offset) / HIGHEST
        if isinstance(value, Accumulated) and value.is_channelwise and not learns:
            affine = value.affine
            ends = (affine.slope * end + affine.level for end in (affine.low, affine.high))
            return max(end.abs().max().item() for end in ends) / HIGHEST
        return 2 * self._step * math.sqrt(self._terms(value))

    def _terms(self, value):
        """Return how many results without a rectifier between them are added up in a value."""
        if isinstance(value, Stored):
            layer = next((layer for layer in self._layers if layer.name == value.name), None)
            if not value.signed or layer is None or isinstance(layer, KeptPlan):
                return 1
            return self._terms(layer.value)
        if isinstance(value, Accumulated):
            return 1 + (0 if value.residual is None else self._terms(value.residual))
        if isinstance(value, Summed):
            return sum(self._terms(part) for part in (value.input, value.residual) if part)
        return 1

    def _maker(self, stored):
        """Return the quantiser whose unit and type stored activations have, None of an image."""
        if stored.name in self._makers:
            return self._makers[stored.name]
        layer = next((layer for layer in self._layers if layer.name == stored.name), None)
        return self._maker(layer.input) if isinstance(layer, KeptPlan) else None

    def _joined(self, site, parts):
        """Give the parts of a concatenation one unit and one type."""
        origin = self._current.meta[ORIGIN]
        stored = [self._stored_part(site, part) for part in parts]
        one: Quantizer | None
        if not any(part.signed for part in stored):
            one = QuantizedReLU(max(part.step for part in stored))
            fits = [part.step == one.step for part in stored]
        else:
            makers = [self._maker(part) if part.signed else None for part in stored]
            one = next((maker for maker in makers if maker is not None), None)
            if one is None:
                one = QuantizedIdentity(max(part.step for part in stored))
            least = max(part.step if part.signed else 2 * part.step for part in stored)
            if one.step < least and isinstance(one, QuantizedIdentity):
                one.start = least
            fits = [maker is not None for maker in makers]
            for other in makers:
                if other is not None and other is not one:
                    self._merge(one, other)
        joined = []
        for number, (part, fit) in enumerate(zip(stored, fits, strict=True)):
            if not fit:
                self.before[origin, number] = one
                part = self._quantize(site, part, one.step, one.signed)
                self._makers[part.name] = one
            joined.append(part)
        return joined

    def _stored_part(self, site, part):
        rule = f"must join 8-bit activations, not {part}: put a QuantizedReLU before it"
        return site.stored(part, rule)

    def _merge(self, one, other):
        self.merged.append((one, other))
        for wanted in (self.behind, self.later, self.before, self._makers):
            _exchange(wanted, other, one)


def _exchange(wanted, old, new):
    """Put one quantiser in the place of another one in a dictionary."""
    for key, quantizer in wanted.items():
        if quantizer is old:
            wanted[key] = new
