"""Codes of tensors: another type, another zero, or several of them for a channel."""

from dataclasses import replace

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.importer.builder import identity_weights
from hiddenite.importer.fitting import TYPE_RANGES
from hiddenite.importer.values import Stored


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


def with_zero(builder, where, stored, weights):
    """Return a tensor in which code 0 stands for 0, for a conv that pads, and its weights."""
    for output in ("uint8", "int8"):
        for factor in (1, 2):
            made = recoded(builder, where, stored, output, factor=factor)
            if made is not None:
                return made, weights
    # Each channel beside what is left to twice the zero: their difference is twice the value.
    twice = round(2 * stored.zero)
    ends = np.stack([stored.low, stored.high, twice - stored.low, twice - stored.high])
    if abs(twice - 2 * stored.zero) > 1e-9 or ends.min() < 0 or ends.max() > 255:
        low, high = (
            stored.unit * (stored.low - stored.zero),
            stored.unit * (stored.high - stored.zero),
        )
        raise InputError(
            f"{where}: padding stands for 0, which must be one of the levels that it reads or in"
            f" the middle of them, which are {low.min():.6g} to {high.max():.6g} in steps of"
            f" {stored.unit:.6g}"
        )
    halves = _copies(builder, where, stored, f"{stored.name}.halves", (1, -1), (0, twice))
    halves = replace(
        halves,
        low=_beside([stored.low, twice - stored.high], 0),
        high=_beside([stored.high, twice - stored.low], 0),
        unit=stored.unit / 2,
        zero=0.0,
    )
    return halves, _beside([weights, -weights], 3)


def repeated(builder, node, stored, weights, groups, largest):
    """Return an input with its channels several times, and weights of -1, 0 and 1."""
    sizes = np.abs(weights)
    parts = [(np.sign(weights) * (sizes > number)).astype(np.int8) for number in range(largest)]
    name = f"{stored.name}.times{largest}"
    if groups > 1:
        # A group's channels stay side by side.
        copies = _copies(builder, node.where, stored, name, (1,) * largest, (0,) * largest)
        return copies, _beside(parts, 3)
    name = builder.concat(node.where, name, [stored.name] * largest)
    stored = replace(
        stored,
        name=name,
        shape=builder.shape(name),
        low=np.tile(stored.low, largest),
        high=np.tile(stored.high, largest),
    )
    return stored, np.concatenate(parts, axis=3)


def same_code(builder, where, pairs):
    """Return tensors of one type, in which one code stands for 0; the others as they are."""
    if len({(stored.type, stored.zero) for stored, _ in pairs}) == 1:
        return pairs
    for output in ("uint8", "int8"):
        for zero in (0, 128 if output == "uint8" else -1):
            before = len(builder.layers)
            if all(_fits(stored, output, zero) for stored, _ in pairs):
                made = [
                    (recoded(builder, where, stored, output, zero=zero), sign)
                    for stored, sign in pairs
                ]
                return made
            assert len(builder.layers) == before
    zeros = " and ".join(f"{stored.zero:g} ({stored.type})" for stored, _ in pairs)
    raise InputError(f"{where}: levels of its inputs must have codes of one type, not {zeros}")


def _copies(builder, where, stored, name, signs, offsets):
    """Return each channel several times, with a sign and an offset of its code, side by side."""
    count, channels = len(signs), stored.shape[2]
    name = builder.conv(
        where,
        name,
        stored.name,
        np.tile(np.array(signs, np.int8), channels).reshape(-1, 1, 1, 1),
        groups=channels,
        scale=np.full(channels * count, 2, np.int16),
        bias=np.tile(np.array(offsets, np.int32), channels),
        shift=1,
        output=stored.type if min(offsets) == max(offsets) else "uint8",
    )
    return replace(
        stored,
        name=name,
        type=builder.type(name),
        shape=builder.shape(name),
        low=stored.low.repeat(count),
        high=stored.high.repeat(count),
    )


def _beside(parts, axis):
    """Return arrays whose places along an axis alternate."""
    stacked = np.stack(parts, axis=axis + 1)
    shape = list(parts[0].shape)
    shape[axis] *= len(parts)
    return stacked.reshape(shape)


def _fits(stored, output, zero):
    offset = zero - stored.zero
    least, most = TYPE_RANGES[output]
    return (
        offset == round(offset)
        and stored.low.min() + offset >= least
        and stored.high.max() + offset <= most
    )
