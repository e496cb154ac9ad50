"""Makes layers of quantised values, in the cheapest of four ways that is exact.

====== ============================================================================================
folded the value is an affine function of a tensor that is there: no layer
one    a conv whose scale, bias and clip give the codes
two    a conv to finer codes, clipped at both ends, and a depthwise one that rounds these
steps  a conv with a channel for each step, 0 or 1, and one that adds them up; see `ways`
====== ============================================================================================

What is found is compared with the steps of the model on both sides of each of them. Between two
steps nothing can differ: both sides are monotonic.
"""

from dataclasses import dataclass, replace

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.importer.fitting import (
    TYPE_RANGES,
    Staircase,
    fit,
)
from hiddenite.importer.steps import find_steps
from hiddenite.importer.values import Stored
from hiddenite.importer.ways import ConvSource, finer, prove, separate, stepping

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
        stored = replace(stored, name=name, shape=builder.shape(name))
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
            prove(where, stairs, [(rescaling, output)])
            made = conv.add(builder, where, name, stepping(stairs), rescaling, output)
            break
    else:
        output, first = codings[0]
        stairs = _staircases(steps, first)
        made = finer(builder, where, name, conv, stairs, output)
        if made is None:
            made = separate(builder, where, name, conv, stairs, output, failed)
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
