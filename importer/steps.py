"""Finds, for each channel, the codes of a quantised value and where they begin."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from hiddenite.golden.errors import InputError

MAX_LEVELS = 4096
"""The most levels of all channels together, before they are put on one grid."""

MAX_CODES = 256

_SAME = 1e-9
_ON_GRID = 1e-6
_SEPARATED = 1e-4


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The levels of a value on a grid, and the integers at which each begins.

    A value is base + unit * k for k from 0 to `top`.

    Attributes
    ----------
    unit, base : float
        The grid.
    top : int
        The largest k.
    direction : int array, (C,)
        1 where k increases with the integer, -1 where it decreases; the integers below are then
        negated.
    low, high : int array, (C,)
        The integers that can occur.
    first : int array, (C,)
        k at `low`.
    begins : list of int array
        For each channel, the integer from which on k is `first` + 1, `first` + 2 and so on.
    near : int
        How many steps are so near to a sum that float32's rounding decides.
    """

    unit: float
    base: float
    top: int
    direction: np.ndarray = field(repr=False)
    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    first: np.ndarray = field(repr=False)
    begins: list[np.ndarray] = field(repr=False)
    near: int


def find_steps(where, value):
    """Return the steps of a value whose chain has a quantiser.

    Parameters
    ----------
    where : str
        What messages call the node that needs it.
    value : Value
        Its moves are not looked at.

    Raises
    ------
    InputError
        Nothing quantises it to at most 8 bits, or its levels lie on no grid of 256.
    """
    levels = _levels(where, value)
    low, high, direction = _oriented(where, value)
    at_low = value.computed((direction * low)[:, None])[:, 0]
    at_high = value.computed((direction * high)[:, None])[:, 0]
    margin = _SEPARATED * (levels[-1] - levels[0]) / max(1, len(levels) - 1)
    inside = (levels >= at_low.min() - margin) & (levels <= at_high.max() + margin)
    levels = levels[inside]
    middles = (levels[1:] + levels[:-1]) / 2
    begins = _begins(value.computed, direction, low, high, middles)
    # Levels that no integer reaches, as 0 of a sign, are left out of the grid.
    edges = np.concatenate([low[:, None], begins, high[:, None] + 1], axis=1)
    reached = (edges[:, 1:] > edges[:, :-1]).any(0)
    levels = levels[reached]
    numbers, unit = _grid(where, levels)
    near = begins != _begins(value.real, direction, low, high, middles)
    for side in (-1, 1):
        nearby = partial(value.nearby, side=side)
        near |= begins != _begins(nearby, direction, low, high, middles)
    _check(where, value, direction, edges, levels, reached, unit)
    # Of each channel: the number on the grid from each integer on.
    first_level = np.concatenate([[0], np.cumsum(reached)[:-1]])
    first, all_begins = [], []
    for edge in edges:
        attained = np.flatnonzero(edge[1:] > edge[:-1])
        ks = numbers[first_level[attained]]
        first.append(ks[0])
        all_begins.append(np.repeat(edge[attained[1:]], np.diff(ks)))
    return Steps(
        unit=unit,
        base=float(levels[0]),
        top=int(numbers[-1]),
        direction=direction,
        low=low,
        high=high,
        first=np.array(first),
        begins=all_begins,
        near=int(near.sum()),
    )


def integer_bounds(source):
    """Return the least and largest integer of each channel of a stored tensor or a sum."""
    return source.low.astype(np.int64), source.high.astype(np.int64)


def _levels(where, value):
    """Return all levels that the chain can give, increasing."""
    last = None
    for number, step in enumerate(value.chain):
        if step.levels is not None:
            last = number
    if last is None:
        raise InputError(
            f"{where}: what it reads must be quantised to at most 8 bits by the nodes before it"
        )
    levels = value.chain[last].levels
    levels = np.broadcast_to(levels, (value.shape[2], levels.shape[1])).astype(float)
    with np.errstate(all="ignore"):
        for step in value.chain[last + 1 :]:
            levels = step.function(levels)
    if not np.isfinite(levels).all():
        raise InputError(f"{value.chain[last].where}: levels must be finite")
    levels = _distinct(levels)
    if len(levels) > MAX_LEVELS:
        raise InputError(
            f"{value.chain[last].where}: its channels must have at most {MAX_LEVELS} different"
            f" levels, not {len(levels)}"
        )
    return levels


def _distinct(levels):
    levels = np.unique(levels)
    close = _SAME * np.abs(levels).max(initial=0)
    return levels[np.concatenate([[True], np.diff(levels) > close])]


def _oriented(where, value):
    """Return bounds of the integers and the direction of each channel, in which values increase."""
    low, high = integer_bounds(value.source)
    ends = value.computed(np.stack([low, high], 1))
    if not np.isfinite(ends).all():
        channel = int((~np.isfinite(ends)).any(1).argmax())
        raise InputError(f"{where}: channel {channel} of what it reads must be finite in float32")
    direction = np.where(ends[:, 0] <= ends[:, 1], 1, -1)
    return np.where(direction > 0, low, -high), np.where(direction > 0, high, -low), direction


def _begins(function, direction, low, high, middles):
    """Return the least integer of each channel whose value is above each middle, (C, K).

    It is `high` + 1 where there is none.
    """
    shape = (len(low), len(middles))
    before = np.broadcast_to(low[:, None] - 1, shape).copy()
    after = np.broadcast_to(high[:, None] + 1, shape).copy()
    if not len(middles):
        return after
    while (after - before > 1).any():
        middle = (after + before) // 2
        probe = np.clip(middle, low[:, None], high[:, None])
        above = function(direction[:, None] * probe) > middles
        open_ = after - before > 1
        after = np.where(open_ & above, middle, after)
        before = np.where(open_ & ~above, middle, before)
    return after


def _grid(where, levels):
    """Return levels as whole numbers of a unit from the first one, and the unit."""
    if len(levels) == 1:
        return np.zeros(1, int), abs(float(levels[0])) or 1.0
    offsets = levels - levels[0]
    for parts in range(1, 5):
        unit = float(np.diff(levels).min()) / parts
        numbers = (offsets / unit).round()
        if numbers[-1] < MAX_CODES:
            unit = float(offsets[-1] / numbers[-1])
            numbers = (offsets / unit).round()
            if (np.abs(offsets / unit - numbers) <= _ON_GRID).all():
                return numbers.astype(int), unit
    raise InputError(
        f"{where}: levels of what it reads must be at most {MAX_CODES} with the same distance in"
        f" all channels, not {len(levels)} such as {', '.join(f'{v:.6g}' for v in levels[:4])}"
    )


def _check(where, value, direction, edges, levels, reached, unit):
    """Raise `InputError` if a value is not the level that it is taken for."""
    expected = np.zeros(len(reached))
    expected[reached] = levels
    starts = np.minimum(edges[:, :-1], edges[:, -1:] - 1)
    found = value.computed(direction[:, None] * starts)
    off = np.abs(found - expected) > 1e-3 * unit + 1e-5 * np.abs(expected)
    off &= edges[:, 1:] > edges[:, :-1]
    if off.any():
        channel, index = (int(number) for number in np.argwhere(off)[0])
        raise InputError(
            f"{where}: channel {channel} of what it reads must be on its grid, not"
            f" {found[channel, index]:.6g} beside {expected[index]:.6g}"
        )
