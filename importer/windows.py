"""Pools and upsamplings."""

from dataclasses import replace

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import MAX_FACTOR
from hiddenite.importer import sums
from hiddenite.importer.values import LINES, MAPS, Move


def max_pool(node, value):
    """Return the value of a ``MaxPool`` node."""
    kernel, stride, padding = _pool_window(node, value)
    if node.integer("storage_order", 0):
        raise InputError(f"{node.where}: storage_order must be 0, not 1")
    for axis in range(2):
        if max(padding[axis], padding[axis + 2]) >= kernel[axis]:
            raise InputError(
                f"{node.where}: pads must be less than the kernel {one_line(kernel)}, not"
                f" {one_line(padding)}"
            )
    move = Move(
        where=node.where,
        name=node.name,
        arguments={"kernel": kernel, "stride": stride, "padding": padding},
        maximum=True,
    )
    shape = (*_size(node, value, kernel, stride, padding), value.shape[2])
    return replace(value, moves=(*value.moves, move), shape=shape)


def average(builder, node, value, stored):
    """Return the value of an ``AveragePool`` node."""
    kernel, stride, padding = _pool_window(node, value)
    _size(node, value, kernel, stride, padding)
    if any(padding) and not node.integer("count_include_pad", 0):
        raise InputError(
            f"{node.where}: count_include_pad must be 1 where there are pads {one_line(padding)}:"
            " an average has one divisor"
        )
    return sums.averaged(builder, node, value, stored, kernel, stride=stride, padding=padding)


def resize(node, value, scales, sizes):
    """Return the value of a ``Resize`` or ``Upsample`` node, which must repeat pixels.

    Parameters
    ----------
    node, value
        The node and what it reads.
    scales, sizes : array or None
        Factor or size of each axis; one of them.
    """
    where = node.where
    if value.axes != MAPS:
        raise InputError(f"{where}: what it reads must have the axes N, C, H, W")
    mode = node.text("mode", "nearest")
    if mode != "nearest":
        raise InputError(f"{where}: mode must be 'nearest', not {one_line(mode)}")
    if sizes is not None and sizes.size:
        if sizes.shape != (4,):
            raise InputError(f"{where}: sizes must be 4, not of shape {sizes.shape}")
        factors = [float(size) / dim for size, dim in zip(sizes, value.dims, strict=True)]
    elif scales is not None and scales.shape == (4,):
        factors = [float(factor) for factor in scales]
    else:
        raise InputError(f"{where}: scales must be 4 constants")
    whole = all(1 <= factor <= MAX_FACTOR and factor == int(factor) for factor in factors)
    if not whole or factors[:2] != [1, 1]:
        raise InputError(
            f"{where}: scales must be 1, 1 and whole numbers up to {MAX_FACTOR}, not"
            f" {one_line([round(factor, 6) for factor in factors])}"
        )
    down, across = int(factors[2]), int(factors[3])
    for factor in (down, across):
        if not _repeats(node, factor):
            raise InputError(
                f"{where}: pixels must be repeated {factor} times each, which"
                f" coordinate_transformation_mode and nearest_mode do not do"
            )
    height, width, channels = value.shape
    move = Move(where=where, name=node.name, arguments={"factor": (down, across)}, maximum=False)
    return replace(
        value, moves=(*value.moves, move), shape=(height * down, width * across, channels)
    )


def _repeats(node, factor):
    """Return whether the nearest pixel of each of a few is the one that is repeated."""
    if node.op == "Upsample":
        return True
    transformation = node.text("coordinate_transformation_mode", "half_pixel")
    nearest = node.text("nearest_mode", "round_prefer_floor")
    place = np.arange(8 * factor)
    if transformation in ("half_pixel", "pytorch_half_pixel"):
        x = (place + 0.5) / factor - 0.5
    elif transformation == "asymmetric":
        x = place / factor
    else:
        return False
    if nearest == "round_prefer_floor":
        x = np.ceil(x - 0.5)
    elif nearest == "round_prefer_ceil":
        x = np.floor(x + 0.5)
    elif nearest in ("floor", "ceil"):
        x = np.floor(x) if nearest == "floor" else np.ceil(x)
    else:
        return False
    return (np.clip(x, 0, 7) == place // factor).all()


def _pool_window(node, value):
    where = node.where
    if value.axes not in (MAPS, LINES):
        raise InputError(f"{where}: what it reads must have the axes N, C, H, W or N, C, W")
    spatial = len(value.axes) - 2
    kernel = node.integers("kernel_shape", ())
    if len(kernel) != spatial or min(kernel) < 1:
        raise InputError(
            f"{where}: kernel_shape must be {spatial} numbers of at least 1, not"
            f" {one_line(list(kernel))}"
        )
    kernel = (1,) * (2 - spatial) + kernel
    stride, dilation, padding = sums.window(node, value, kernel)
    if dilation != (1, 1):
        raise InputError(f"{where}: dilations must be 1, not {one_line(dilation)}")
    return kernel, stride, padding


def _size(node, value, kernel, stride, padding):
    sizes = []
    for axis, name in enumerate(("height", "width")):
        room = value.shape[axis] + padding[axis] + padding[axis + 2] - kernel[axis]
        if room < 0:
            raise InputError(
                f"{node.where}: kernel {name} must be at most the padded map's"
                f" {room + kernel[axis]}, not {kernel[axis]}"
            )
        if node.integer("ceil_mode", 0) and room % stride[axis]:
            raise InputError(f"{node.where}: ceil_mode must be 0 where windows do not fit evenly")
        sizes.append(room // stride[axis] + 1)
    return sizes
