"""Two ways to make codes that one conv does not: finer codes, or a channel for each step."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import MAX_SIZE
from hiddenite.golden.rounding import shifted
from hiddenite.importer.builder import identity_weights
from hiddenite.importer.fitting import (
    Rescaling,
    Staircase,
    constant,
    fit,
    fit_channel,
    search,
)
from hiddenite.importer.values import Stored

MAX_STEPS = 15
"""The most steps of a channel that get channels of their own."""

_FINE_SHIFT = 15
"""The shift that rounds finer codes."""

_FINE_DISTANCES = 16
_FINE_BEGINS = 16


@dataclass(frozen=True, kw_only=True)
class ConvSource:
    """A conv without its rescaling; of a stored tensor it is the identity."""

    input: str
    weights: np.ndarray
    fields: dict

    @classmethod
    def of(cls, source):
        if isinstance(source, Stored):
            return cls.identity(source.name, source.shape[2])
        names = ("stride", "dilation", "padding", "groups")
        fields = {name: getattr(source, name) for name in names}
        return cls(input=source.input.name, weights=source.weights, fields=fields)

    @classmethod
    def identity(cls, name, channels):
        return cls(input=name, weights=identity_weights(channels), fields={"groups": channels})

    def add(self, builder, where, name, kept, rescaling, output):
        """Add the layer and return its name; channels that are not `kept` lose their weights."""
        return builder.conv(
            where,
            name,
            self.input,
            np.where(np.reshape(kept, (-1, 1, 1, 1)), self.weights, np.int8(0)),
            **self.fields,
            scale=np.array(rescaling.scale, np.int16),
            bias=np.array(rescaling.bias, np.int32),
            shift=rescaling.shift,
            output=output,
        )

    def add_last(self, builder, where, name, **fields):
        """Add the layer with 32-bit outputs, after a shift by 1."""
        builder.conv(
            where, name, self.input, self.weights, **self.fields, **fields, shift=1, output="int32"
        )


def stepping(stairs):
    """Return which channels have steps; the others are constants."""
    return np.array([len(stair.steps) > 0 for stair in stairs])


def prove(where, stairs, layers):
    """Raise `InputError` unless layers, one after the other, climb the stairs.

    They are computed on both sides of each step and at both ends of the range.

    Parameters
    ----------
    where : str
        What messages call the node.
    stairs : list of Staircase
        Of each channel.
    layers : list of (Rescaling, str)
        With the types of their outputs; all but the first are depthwise.
    """
    for channel, stair in enumerate(stairs):
        if len(stair.steps):
            integers = np.concatenate([[stair.low, stair.high], stair.steps, stair.steps - 1])
            counts = np.searchsorted(stair.steps, integers, side="right")
            integers = -integers if stair.negated else integers
        else:
            integers, counts = np.zeros(1, np.int64), np.zeros(1, int)
        expected = stair.first + counts
        found = integers
        for number, (rescaling, output) in enumerate(layers):
            if number and not len(stair.steps):
                found = found * 0  # a constant has no weights
            scale, bias = rescaling.scale[channel], rescaling.bias[channel]
            found = shifted((found + bias) * scale, rescaling.shift, output)
        if (found != expected).any():
            index = int((found != expected).argmax())
            raise InputError(
                f"{where}: channel {channel} must give {expected[index]} at accumulator"
                f" {integers[index]}, not {found[index]}"
            )


def finer(builder, where, name, conv, stairs, output):
    """Make finer codes and round them; return the tensor's name, or None if that is not exact."""
    choices = [_fine_choices(stair.first, len(stair.steps), output) for stair in stairs]
    found, shift, _ = search(
        len(stairs), lambda channel, shift: _fine_pair(stairs[channel], choices[channel], shift)
    )
    if not found:
        return None
    fine = Rescaling.of([pair for pair, _ in found], shift)
    rounding = Rescaling.of([pair for _, pair in found], _FINE_SHIFT)
    prove(where, stairs, [(fine, "uint8"), (rounding, output)])
    kept = stepping(stairs)
    finer = conv.add(builder, where, f"{name}.fine", kept, fine, "uint8")
    depthwise = ConvSource.identity(finer, len(stairs))
    return depthwise.add(builder, where, name, kept, rounding, output)


@cache
def _fine_choices(first, count, output):
    """Return ways to round finer codes to `count` steps from a first code on.

    Each is where the steps begin, as finer codes at equal distances, and the (scale, bias) that
    rounds them.
    """
    if not count:
        return [(None, constant(first, _FINE_SHIFT))]
    found = []
    largest = 255 // max(1, count - 1)
    distances = np.unique(np.linspace(largest, min(2, largest), _FINE_DISTANCES).astype(int))
    for distance in distances[::-1]:
        span = distance * (count - 1)
        begins = np.unique(np.linspace(1, 255 - span, _FINE_BEGINS).astype(int))
        for begin in begins[(begins >= 1) & (begins <= 255 - span)]:
            steps = begin + distance * np.arange(count)
            rounded = Staircase(
                negated=False,
                low=0,
                high=255,
                first=first,
                codes=first + 1 + np.arange(count),
                steps=steps,
            )
            pair = fit_channel(rounded, output, _FINE_SHIFT)
            if pair is not None:
                found.append((steps, pair))
    return found


def _fine_pair(stair, choices, shift):
    """Return the (scale, bias) of finer codes and of their rounding, or None."""
    for begins, rounding in choices:
        if begins is None:
            return constant(0, shift), rounding
        fine = Staircase(
            negated=stair.negated,
            low=stair.low,
            high=stair.high,
            first=0,
            codes=begins,
            steps=stair.steps,
        )
        pair = fit_channel(fine, "uint8", shift, clips=False)
        if pair is not None:
            return pair, rounding
    return None


def separate(builder, where, name, conv, stairs, output, failed):
    """Make a channel for each step and add them up; return the tensor's name.

    Raises
    ------
    InputError
        A channel has more than `MAX_STEPS`, or there are too many channels.
    """
    count = max(len(stair.steps) for stair in stairs)
    if count > MAX_STEPS or count * len(stairs) > MAX_SIZE:
        steps = stairs[failed].steps * (-1 if stairs[failed].negated else 1)
        raise InputError(
            f"{where}: channel {failed} must step at accumulators {one_line(steps.tolist())}, which"
            " no scale, bias and shift do exactly; a channel for each step is made of at most"
            f" {MAX_STEPS} steps and {MAX_SIZE} channels, not of {count} and {count * len(stairs)}"
        )
    singles = [
        Staircase(
            negated=stair.negated,
            low=stair.low,
            high=stair.high,
            first=0,
            codes=np.ones(len(stair.steps[number : number + 1]), np.int64),
            steps=stair.steps[number : number + 1],
        )
        for stair in stairs
        for number in range(count)
    ]
    rescaling, failed = fit(singles, "uint8")
    if rescaling is None:
        raise InputError(
            f"{where}: accumulators of channel {failed // count} must be few enough to tell two of"
            f" them apart, not {stairs[failed // count].low} to {stairs[failed // count].high}"
        )
    prove(where, singles, [(rescaling, "uint8")])
    kept = stepping(singles)
    repeated = replace(conv, weights=conv.weights.repeat(count, axis=0))
    parts = repeated.add(builder, where, f"{name}.steps", kept, rescaling, "uint8")
    channels = len(stairs)
    weights = kept.reshape(channels, 1, 1, count).astype(np.int8)
    adder = ConvSource(input=parts, weights=weights, fields={"groups": channels})
    total = Rescaling(scale=[2] * channels, bias=[stair.first for stair in stairs], shift=1)
    return adder.add(builder, where, name, np.ones(channels, bool), total, output)
