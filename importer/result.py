"""The last layer: 32-bit integers whose order among the channels is that of the model's result.

Results are affine functions of accumulators, a * (A + offset) in each channel. Where `a` is the
same in all channels and the offsets are whole numbers apart, the integers are A + offset: the
results but for a factor and an offset of all of them. Where offsets have other fractions, an
integer is 256 * (A + whole part) and the rank of the fraction, of at most 256. Where `a` differs,
scales of 15 bits are tried and each pair of channels is compared for all accumulators.
"""

from dataclasses import dataclass

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.importer.fitting import MAX_BIAS, MAX_SCALE, Rescaling, constant
from hiddenite.importer.steps import integer_bounds
from hiddenite.importer.storing import store
from hiddenite.importer.values import Stored, Value
from hiddenite.importer.ways import ConvSource

MAX_RANKS = 256
"""How many fractions of offsets are told apart."""

MAX_PAIRS = 2**26
"""How many accumulators of pairs of channels are compared."""

_TRIED = 4
_EQUAL = 1e-12
_WHOLE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the network's integers are to the model's result.

    Attributes
    ----------
    rule : str
        For people.
    factor : float or None
        What a difference of 1 stands for, where it is the same for all.
    """

    rule: str
    factor: float | None


def finish(builder, where, value, name):
    """Add the last layer and return what its integers are.

    Parameters
    ----------
    builder : Builder
        Gets it, unless the result is a tensor that the last layer has made.
    where : str
        What messages call the output.
    value : Value
        The model's result.
    name : str
        Name of the layer.

    Returns
    -------
    (Result, Way or None)
        The second one tells how the model's last quantiser was made.

    Raises
    ------
    InputError
        The order cannot be kept for all accumulators.
    """
    way = None
    if value.moves or any(step.levels is not None for step in value.chain):
        stored, way = store(builder, where, value)
        value = Value(source=stored, shape=stored.shape, axes=value.axes)
    slope, offset = _affine(where, value)
    conv = ConvSource.of(value.source)
    if slope[0] == 0 or (np.abs(slope - slope[0]) > _EQUAL * np.abs(slope[0])).any():
        return _of_slopes(builder, where, conv, name, value, slope, offset), way
    offsets = offset / slope[0]
    there = isinstance(value.source, Stored) and value.source.name == builder.last
    if there and slope[0] > 0 and np.ptp(offsets) == 0:
        return Result(rule="the model's levels, as codes", factor=float(slope[0])), way
    return _of_one_slope(builder, where, conv, name, value, float(slope[0]), offsets), way


def _affine(where, value):
    """Return slope and offset of each channel's result as functions of its accumulator."""
    for step in value.chain:
        if not step.affine:
            raise InputError(
                f"{step.where}: must not come after the result's last quantiser, only factors and"
                " offsets of each channel"
            )
    channels = value.shape[2]
    ends = np.broadcast_to(np.array([0.0, 2.0**20]), (channels, 2))
    ends = value.real(ends)
    if not np.isfinite(ends).all():
        raise InputError(f"{where}: result must be finite")
    return (ends[:, 1] - ends[:, 0]) / 2**20, ends[:, 0]


def _of_one_slope(builder, where, conv, name, value, slope, offsets):
    sign = 1 if slope > 0 else -1
    fractions = offsets - offsets[0]
    whole = np.floor(fractions + _WHOLE)
    rest = fractions - whole
    rest[np.abs(rest) <= _WHOLE * np.maximum(1, np.abs(fractions))] = 0
    low, high = integer_bounds(value.source)
    largest = max(np.abs(low + whole).max(), np.abs(high + whole).max())
    if MAX_RANKS * largest > MAX_BIAS:
        raise InputError(
            f"{where}: accumulators with their offsets must be at most"
            f" {MAX_BIAS // MAX_RANKS:,}, not {largest:,.0f}"
        )
    bias = whole.astype(np.int32)
    if not rest.any():
        scale = np.full(len(bias), 2 * sign, np.int16)
        conv.add_last(builder, where, name, scale=scale, bias=bias)
        rule = "the model's result, but for a factor and an offset of all channels"
        return Result(rule=rule, factor=abs(slope))
    _, ranks = np.unique((sign * rest / _WHOLE).round(), return_inverse=True)
    if ranks.max() >= MAX_RANKS:
        raise InputError(
            f"{where}: offsets must have at most {MAX_RANKS} different fractions, not"
            f" {ranks.max() + 1}"
        )
    rescaling = Rescaling.of([constant(int(rank), 1) for rank in ranks], 1)
    none = np.zeros(len(ranks), bool)
    residual = conv.add(builder, where, f"{name}.ranks", none, rescaling, "uint8")
    scale = np.full(len(bias), 2 * MAX_RANKS * sign, np.int16)
    conv.add_last(builder, where, name, scale=scale, bias=bias, residual=residual, residual_scale=2)
    rule = (
        f"{MAX_RANKS} times the model's result in steps, but for an offset of all channels, and the"
        " rank of what is less than a step"
    )
    return Result(rule=rule, factor=None)


def _of_slopes(builder, where, conv, name, value, slope, offset):
    """Add a layer for slopes that differ, each pair of channels compared."""
    low, high = integer_bounds(value.source)
    counts = high - low + 1
    if int(counts.sum()) * len(counts) > MAX_PAIRS:
        raise InputError(
            f"{where}: factors of the result must be the same in all channels, where accumulators"
            f" are as many as {int(counts.sum())}"
        )
    safe = np.where(slope == 0, 1, slope)
    steep = np.abs(slope).max() or 1.0
    # Factors near whole numbers first.
    sizes = np.arange(1, MAX_SCALE // 2 + 1)
    near = np.abs(slope / steep * sizes[:, None])
    order = np.argsort(np.abs(near - near.round()).max(1) / sizes, kind="stable")
    found = None
    for size in sizes[order[:_TRIED]]:
        scale = (2 * (slope / steep * size).round()).astype(np.int64)
        bias = np.where(slope == 0, 0, offset / safe).round()
        if np.abs(bias).max() > MAX_BIAS:
            continue
        bias = bias.astype(np.int64)
        found = _first_difference(value, low, high, scale, bias)
        if found is None:
            conv.add_last(
                builder, where, name, scale=scale.astype(np.int16), bias=bias.astype(np.int32)
            )
            rule = "in the order of the model's result, which was compared for all accumulators"
            return Result(rule=rule, factor=None)
    first, second = found if found is not None else (0, 0)
    raise InputError(
        f"{where}: channels {first} and {second} have the factors {slope[first]:.9g} and"
        f" {slope[second]:.9g} for each accumulator; no scales of 15 bits keep the order of their"
        " results: give all channels one factor"
    )


def _first_difference(value, low, high, scale, bias):
    """Return two channels whose integers are not in the order of the model's results, or None."""
    results, integers = [], []
    for channel, (least, most) in enumerate(zip(low, high, strict=True)):
        accumulators = np.arange(least, most + 1)
        row = np.zeros((len(low), len(accumulators)), np.int64)
        row[channel] = accumulators
        results.append(value.real(row)[channel])
        integers.append((accumulators + bias[channel]) * scale[channel] >> 1)
    for first in range(len(low)):
        for second in range(len(low)):
            for side in ("left", "right"):
                wanted = np.searchsorted(np.sort(results[second]), results[first], side=side)
                found = np.searchsorted(np.sort(integers[second]), integers[first], side=side)
                if (wanted != found).any():
                    return first, second
    return None
