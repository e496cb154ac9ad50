"""Makes layers of quantised values, in the cheapest of four ways that is exact.

====== ============================================================================================
folded the value is an affine function of a tensor that is there: no layer
one    a conv whose scale, bias and clip give the codes
two    a conv to finer codes, clipped at both ends, and a depthwise one that rounds these
steps  a conv with a channel for each step, 0 or 1, and one that adds them up; up to `MAX_STEPS`
====== ============================================================================================

What is found is compared with the steps of the model on both sides of each of them. Between two
steps nothing can differ: both sides are monotonic.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import MAX_SIZE
from hiddenite.golden.rounding import shifted
from hiddenite.importer.builder import identity_weights
from hiddenite.importer.fitting import (
    TYPE_RANGES,
    Rescaling,
    Staircase,
    constant,
    fit,
    fit_channel,
    search,
)
from hiddenite.importer.steps import find_steps
from hiddenite.importer.values import Stored

MAX_STEPS = 15
"""The most steps of a channel that get channels of their own."""

_FINE_SHIFT = 15
"""The shift that rounds finer codes."""

_FINE_DISTANCES = 16
_FINE_BEGINS = 16

_AFFINE = 1e-9
_WHOLE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a value was made.

    Attributes
    ----------
    where : str
        How messages name the node that ends its chain.
    layers : tuple of str
        Names of the layers.
    near : int
        Steps that are so near to a sum of the model that float32's rounding decides.
    """

    where: str
    layers: tuple[str, ...]
    near: int


def store(builder, where, value):
    """Return a value as a tensor of the network, and how it was made.

    Parameters
    ----------
    builder : Builder
        Gets the layers.
    where : str
        What messages call the node that reads it.
    value : Value
        The value.

    Returns
    -------
    (Stored, Way)

    Raises
    ------
    InputError
        It is not quantised, or its steps cannot be made exactly.
    """
    count = len(builder.layers)
    stored, near = folded(value), 0
    if stored is None:
        stored, near = _quantise(builder, where, value)
    for move in value.moves:
        add = builder.max_pool if move.maximum else builder.upsample
        if move.maximum and stored.unit < 0:
            raise InputError(f"{move.where}: what it reads must not be negated")
        name = add(move.where, move.name, stored.name, **move.arguments)
        stored = _renamed(stored, name, builder.shape(name))
    end = value.chain[-1].where if value.chain else where
    names = tuple(layer.name for layer in builder.layers[count:])
    return stored, Way(where=end, layers=names, near=near)


def folded(value):
    """Return a value as a stored tensor with another unit, or None if it is not affine in one.

    A maximum that comes later needs a unit above 0.
    """
    source = value.source
    if not isinstance(source, Stored):
        return None
    if all(step.affine for step in value.chain):
        low, high = np.zeros(len(source.low)), np.ones(len(source.low))
    else:
        low, high = source.low, source.high
    codes = np.linspace(low, high, int((high - low).max()) + 1, axis=1).round()
    levels = value.real(codes)
    if not np.isfinite(levels).all():
        return None
    ends = levels[:, [0, -1]]
    lengths = high - low
    lengths[lengths == 0] = 1
    units = (ends[:, 1] - ends[:, 0]) / lengths
    unit = float(units[0])
    if unit == 0 or (unit < 0 and value.moves):
        return None
    zero = float(codes[0, 0] - levels[0, 0] / unit)
    zero = _whole_or_half(zero)
    expected = unit * (codes - zero)
    if (np.abs(levels - expected) > _AFFINE * np.abs(levels).max()).any():
        return None
    return Stored(
        name=source.name,
        type=source.type,
        shape=source.shape,
        low=source.low,
        high=source.high,
        unit=unit,
        zero=zero,
    )


def recoded(builder, where, stored, output, *, zero=0, factor=1):
    """Return a tensor with codes of another type, factor * (code - zero of it) + zero.

    Parameters
    ----------
    builder : Builder
        Gets a depthwise layer, unless nothing changes.
    where : str
        What messages call the node that reads it.
    stored : Stored
        The tensor.
    output : {"uint8", "int8"}
        The type.
    zero : int
        The code that is to stand for 0.
    factor : {1, 2}
        Codes for each code; 2 where the zero of the tensor lies between two of them.

    Returns
    -------
    Stored, or None if the codes do not fit the type.
    """
    offset = zero - factor * stored.zero
    if offset != round(offset):
        return None
    offset = round(offset)
    if (stored.type, offset, factor) == (output, 0, 1):
        return stored
    least, most = TYPE_RANGES[output]
    low, high = factor * stored.low + offset, factor * stored.high + offset
    if low.min() < least or high.max() > most:
        return None
    channels = stored.shape[2]
    double = {"residual": stored.name, "residual_scale": 2} if factor == 2 else {}
    name = builder.conv(
        where,
        f"{stored.name}.{output}",
        stored.name,
        identity_weights(channels),
        groups=channels,
        scale=np.full(channels, 2, np.int16),
        bias=np.full(channels, offset, np.int32),
        shift=1,
        output=output,
        **double,
    )
    return Stored(
        name=name,
        type=output,
        shape=stored.shape,
        low=low,
        high=high,
        unit=stored.unit / factor,
        zero=float(zero),
    )


def _renamed(stored, name, shape):
    return Stored(
        name=name,
        type=stored.type,
        shape=shape,
        low=stored.low,
        high=stored.high,
        unit=stored.unit,
        zero=stored.zero,
    )


def _whole_or_half(number):
    """Return a number, made a whole or a half one if it is next to it."""
    near = round(2 * number) / 2
    return near if abs(number - near) <= _WHOLE * max(1, abs(number)) else number


def _quantise(builder, where, value):
    """Return a value as a tensor that new layers make, and the number of near steps."""
    steps = find_steps(where, value)
    where = value.chain[-1].where
    name = next(step.node.name for step in reversed(value.chain) if step.levels is not None)
    zero = _whole_or_half(-steps.base / steps.unit)
    conv = ConvSource.of(value.source)
    codings = _codings(steps.top, zero)
    for output, first in codings:
        stairs = _staircases(steps, first)
        rescaling, failed = fit(stairs, output)
        if rescaling is not None:
            _prove(where, stairs, [(rescaling, output)])
            made = conv.add(builder, where, name, _stepping(stairs), rescaling, output)
            break
    else:
        output, first = codings[0]
        stairs = _staircases(steps, first)
        made = _finer(builder, where, name, conv, stairs, output)
        if made is None:
            made = _separate(builder, where, name, conv, stairs, output, failed)
    return Stored(
        name=made,
        type=output,
        shape=builder.shape(made),
        low=np.array([stair.first for stair in stairs]),
        high=np.array([stair.first + len(stair.steps) for stair in stairs]),
        unit=steps.unit,
        zero=zero + first,
    ), steps.near


def _codings(top, zero):
    """Return (type, code of the lowest level) for the codes that can be used, the best first.

    With code 0 for the value 0 a conv can pad.
    """
    codings = []
    if zero == round(zero):
        first = -round(zero)
        codings += [
            (output, first)
            for output, (least, most) in TYPE_RANGES.items()
            if least <= first and first + top <= most
        ]
    codings += [("uint8", 0), ("uint8", 255 - top)]
    return list(dict.fromkeys(codings))


def _staircases(steps, first):
    """Return the codes of each channel, that of the lowest level being `first`."""
    return [
        Staircase(
            negated=bool(steps.direction[channel] < 0),
            low=int(steps.low[channel]),
            high=int(steps.high[channel]),
            first=int(steps.first[channel]) + first,
            codes=int(steps.first[channel]) + first + 1 + np.arange(len(begins)),
            steps=begins.astype(np.int64),
        )
        for channel, begins in enumerate(steps.begins)
    ]


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


def _stepping(stairs):
    """Return which channels have steps; the others are constants."""
    return np.array([len(stair.steps) > 0 for stair in stairs])


def _prove(where, stairs, layers):
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


def _finer(builder, where, name, conv, stairs, output):
    """Make finer codes and round them; return the tensor's name, or None if that is not exact."""
    choices = [_fine_choices(stair.first, len(stair.steps), output) for stair in stairs]
    found, shift, _ = search(
        len(stairs), lambda channel, shift: _fine_pair(stairs[channel], choices[channel], shift)
    )
    if not found:
        return None
    fine = Rescaling.of([pair for pair, _ in found], shift)
    rounding = Rescaling.of([pair for _, pair in found], _FINE_SHIFT)
    _prove(where, stairs, [(fine, "uint8"), (rounding, output)])
    kept = _stepping(stairs)
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


def _separate(builder, where, name, conv, stairs, output, failed):
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
    _prove(where, singles, [(rescaling, "uint8")])
    kept = _stepping(singles)
    repeated = replace(conv, weights=conv.weights.repeat(count, axis=0))
    parts = repeated.add(builder, where, f"{name}.steps", kept, rescaling, "uint8")
    channels = len(stairs)
    weights = kept.reshape(channels, 1, 1, count).astype(np.int8)
    adder = ConvSource(input=parts, weights=weights, fields={"groups": channels})
    total = Rescaling(scale=[2] * channels, bias=[stair.first for stair in stairs], shift=1)
    return adder.add(builder, where, name, np.ones(channels, bool), total, output)
