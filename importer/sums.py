"""Sums of products: convs, matrix products, averages, and tensors that are added."""

import math
from dataclasses import replace

import numpy as np

from hiddenite.golden.checks import check_integer, one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import MAX_SIZE
from hiddenite.importer.codes import repeated, same_code, with_zero
from hiddenite.importer.values import FLAT, LINES, MAPS, Stored, Sum, Value
from hiddenite.importer.weights import MAX_WEIGHT, integer_weights

MAX_WEIGHTS = 2**27
"""The most weights of a layer."""


def sum_of(builder, node, stored, weights, scale, **fields):
    """Return the accumulators of a conv.

    Parameters
    ----------
    builder : Builder
        Gets a layer where the input's zero is no code and the conv pads, and one that repeats
        channels where weights are larger than 1.
    node : Node
        The model's node.
    stored : Stored
        What is read.
    weights : int8 array, (O, KH, KW, I)
        At most `MAX_WEIGHT`.
    scale : float array, (O,)
        Of the weights of each output channel.
    **fields
        Stride, dilation, padding and groups.
    """
    where = node.where
    stride = fields.get("stride", (1, 1))
    dilation = fields.get("dilation", (1, 1))
    padding = fields.get("padding", (0, 0, 0, 0))
    groups = fields.get("groups", 1)
    if any(padding) and stored.zero != 0:
        stored, weights = with_zero(builder, where, stored, weights)
    largest = int(np.abs(weights).max())
    height, width = _output_size(where, stored.shape, weights.shape, stride, dilation, padding)
    shape = height, width, len(weights)
    low, high = _bounds(stored, weights, groups, padded=any(padding))
    centre = stored.zero * weights.reshape(len(weights), -1).sum(1, dtype=np.int64)
    if largest > 1:
        stored, weights = repeated(builder, node, stored, weights, groups, largest)
    return Sum(
        input=stored,
        weights=weights,
        **fields,
        shape=shape,
        low=low,
        high=high,
        scale=scale * stored.unit,
        centre=centre.astype(float),
    )


def convolved(builder, node, value, stored, weights):
    """Return the value of a ``Conv`` node, without its bias."""
    where = node.where
    spatial = len(value.axes) - 2
    if value.axes not in (MAPS, LINES):
        raise InputError(f"{where}: what it reads must have the axes N, C, H, W or N, C, W")
    if weights.ndim != spatial + 2 or 0 in weights.shape:
        raise InputError(
            f"{where}: weights must have {spatial + 2} axes, not the shape {weights.shape}"
        )
    groups = check_integer(where, "group", node.integer("group", 1), 1, MAX_SIZE)
    channels = value.shape[2]
    if channels % groups or weights.shape[0] % groups or weights.shape[1] != channels // groups:
        raise InputError(
            f"{where}: weights of shape {weights.shape} must fit {channels} channels in {groups}"
            " groups"
        )
    given = node.integers("kernel_shape", weights.shape[2:])
    if given != weights.shape[2:]:
        raise InputError(f"{where}: kernel_shape must be that of the weights, not {given}")
    integers, scale = integer_weights(where, weights)
    if spatial == 1:
        integers = integers[:, :, None]
    stride, dilation, padding = window(node, value, integers.shape[2:])
    source = sum_of(
        builder,
        node,
        stored,
        np.ascontiguousarray(integers.transpose(0, 2, 3, 1)),
        scale,
        stride=stride,
        dilation=dilation,
        padding=padding,
        groups=groups,
    )
    return Value(source=source, shape=source.shape, axes=value.axes)


def multiplied(builder, node, value, stored, weights):
    """Return a value times a matrix (inputs, outputs), along its last axis."""
    where = node.where
    last = value.axes[-1]
    rest = [letter for axis in value.axes[1:-1] for letter in axis]
    if weights.ndim != 2 or weights.shape[0] != value.dims[-1] or not weights.shape[1]:
        raise InputError(
            f"{where}: weights must be a matrix of {value.dims[-1]} rows, not of shape"
            f" {weights.shape}"
        )
    if "C" not in last or (rest and last != ("C",)):
        raise InputError(f"{where}: what it multiplies must be channels, or a whole map")
    integers, scale = integer_weights(where, np.ascontiguousarray(weights.T))
    if rest:
        source = sum_of(builder, node, stored, integers[:, None, None, :], scale)
        return Value(source=source, shape=source.shape, axes=value.axes)
    sizes = value.sizes
    integers = integers.reshape(len(integers), *(sizes[letter] for letter in last))
    order = [1 + last.index(letter) if letter in last else None for letter in "HWC"]
    kept = [number for number in order if number is not None]
    integers = integers.transpose(0, *kept)
    shape = [sizes[letter] if letter in last else 1 for letter in "HWC"]
    integers = np.ascontiguousarray(integers.reshape(len(integers), *shape))
    if stored.shape != value.shape:
        # An average of a whole map: each of its pixels has the same weight.
        full = (len(integers), *stored.shape)
        _check_count(where, math.prod(full))
        integers = np.ascontiguousarray(np.broadcast_to(integers, full))
    source = sum_of(builder, node, stored, integers, scale)
    return Value(source=source, shape=source.shape, axes=FLAT)


def averaged(builder, node, value, stored, kernel, **fields):
    """Return averages of windows of each channel."""
    channels = value.shape[2]
    _check_count(node.where, channels * kernel[0] * kernel[1])
    weights = np.ones((channels, *kernel, 1), np.int8)
    scale = np.full(channels, 1 / (kernel[0] * kernel[1]))
    source = sum_of(builder, node, stored, weights, scale, groups=channels, **fields)
    whole = kernel == value.shape[:2] and not any(fields.get("padding", ()))
    return Value(source=replace(source, average=whole), shape=source.shape, axes=value.axes)


def added(builder, node, value, pairs):
    """Return the sum of tensors, each plus or minus; a conv over their channels side by side.

    Parameters
    ----------
    builder, node
        As in `sum_of`.
    value : Value
        The first one.
    pairs : list of (Stored, int)
        The tensors and their signs.
    """
    where = node.where
    unit = min(abs(stored.unit) for stored, _ in pairs)
    factors = [sign * stored.unit / unit for stored, sign in pairs]
    whole = [round(factor) for factor in factors]
    if any(
        abs(f - w) > 1e-9 * abs(f) or abs(w) > MAX_WEIGHT
        for f, w in zip(factors, whole, strict=True)
    ):
        units = " and ".join(f"{stored.unit:.6g}" for stored, _ in pairs)
        raise InputError(
            f"{where}: steps of what it adds must be equal, or one at most {MAX_WEIGHT} times the"
            f" other, not {units}"
        )
    channels = value.shape[2]
    _check_count(where, channels * channels * sum(map(abs, whole)))
    pairs = same_code(builder, where, pairs)
    names, blocks = [], []
    low = high = np.zeros(channels, np.int64)
    centre = 0.0
    for (stored, _), factor in zip(pairs, whole, strict=True):
        names += [stored.name] * abs(factor)
        blocks += [np.eye(channels, dtype=np.int8) * np.int8(np.sign(factor))] * abs(factor)
        ends = np.stack([stored.low * factor, stored.high * factor])
        low, high = low + ends.min(0), high + ends.max(0)
        centre += factor * stored.zero
    name = builder.concat(where, f"{node.name}.inputs", names)
    first = pairs[0][0]
    joined = Stored(
        name=name,
        type=first.type,
        shape=builder.shape(name),
        low=np.tile(low, len(names)),  # of no use: the bounds are known
        high=np.tile(high, len(names)),
        unit=unit,
        zero=0.0,
    )
    source = Sum(
        input=joined,
        weights=np.concatenate(blocks, axis=1)[:, None, None, :],
        shape=value.shape,
        low=low,
        high=high,
        scale=np.full(channels, unit),
        centre=np.full(channels, centre),
    )
    return Value(source=source, shape=value.shape, axes=value.axes)


def joined(builder, node, values, stored):
    """Return tensors of one unit side by side, their channels one after the other."""
    where = node.where
    units = {s.unit for s in stored}
    if len({f"{unit:.9g}" for unit in units}) > 1:
        raise InputError(
            f"{where}: steps of what it joins must be equal, not"
            f" {one_line([float(f'{s.unit:.6g}') for s in stored])}"
        )
    tensors = [s for s, _ in same_code(builder, where, [(s, 1) for s in stored])]
    name = builder.concat(where, node.name, [s.name for s in tensors])
    first = tensors[0]
    together = Stored(
        name=name,
        type=first.type,
        shape=builder.shape(name),
        low=np.concatenate([s.low for s in tensors]),
        high=np.concatenate([s.high for s in tensors]),
        unit=first.unit,
        zero=first.zero,
    )
    return Value(source=together, shape=together.shape, axes=values[0].axes)


def window(node, value, kernel):
    """Return (stride, dilation, padding) of a node's window, as layers have them."""
    where = node.where
    spatial = len(value.axes) - 2

    def pair(name):
        numbers = node.integers(name, (1,) * spatial)
        if len(numbers) != spatial or min(numbers) < 1:
            raise InputError(
                f"{where}: {name} must be {spatial} numbers of at least 1, not"
                f" {one_line(list(numbers))}"
            )
        return (1,) * (2 - spatial) + numbers

    stride, dilation = pair("strides"), pair("dilations")
    pads = node.integers("pads", (0,) * 2 * spatial)
    if len(pads) != 2 * spatial or min(pads) < 0:
        raise InputError(
            f"{where}: pads must be {2 * spatial} numbers of at least 0, not {one_line(list(pads))}"
        )
    if spatial == 1:
        pads = (0, pads[0], 0, pads[1])
    automatic = node.text("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        begins, ends = [], []
        for axis in range(2):
            size, span = value.shape[axis], (kernel[axis] - 1) * dilation[axis] + 1
            total = max(0, (-(-size // stride[axis]) - 1) * stride[axis] + span - size)
            small, large = total // 2, total - total // 2
            begins.append(small if automatic == "SAME_UPPER" else large)
            ends.append(large if automatic == "SAME_UPPER" else small)
        pads = (*begins, *ends)
    elif automatic not in ("NOTSET", "VALID"):
        raise InputError(f"{where}: auto_pad {one_line(automatic)} is not known")
    return stride, dilation, pads


def _bounds(stored, weights, groups, *, padded):
    """Return the least and largest accumulator of each output channel."""
    outputs = len(weights) // groups
    low, high = stored.low, stored.high
    if padded:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    per = weights.shape[3]
    found = []
    for ends in ((low, high), (high, low)):
        total = []
        for group in range(groups):
            part = weights[group * outputs : (group + 1) * outputs].astype(np.int64)
            first, second = (end[group * per : (group + 1) * per].astype(np.int64) for end in ends)
            positive = np.maximum(part, 0).sum((1, 2))
            negative = np.minimum(part, 0).sum((1, 2))
            total.append(positive @ first + negative @ second)
        found.append(np.concatenate(total))
    return found[0], found[1]


def _output_size(where, shape, weights_shape, stride, dilation, padding):
    _check_count(where, int(np.prod(weights_shape, dtype=np.int64)))
    sizes = []
    for axis, name in enumerate(("height", "width")):
        span = (weights_shape[1 + axis] - 1) * dilation[axis] + 1
        padded = shape[axis] + padding[axis] + padding[axis + 2]
        if span > padded:
            raise InputError(
                f"{where}: kernel {name} must be at most the padded map's {padded}, not {span}"
            )
        sizes.append((padded - span) // stride[axis] + 1)
    return sizes


def _check_count(where, count):
    if count > MAX_WEIGHTS:
        raise InputError(f"{where}: weights must be at most {MAX_WEIGHTS:,}, not {count:,}")
