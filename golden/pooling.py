"""Pools, whatever their kernel: time and memory are those of the map and the output.

A window that reaches far beyond the map is cut to the map first: padding counts as 0 in a sum, to
which it adds nothing, and as the least activation in a maximum. Rows and columns are reduced one
after the other.
"""

from functools import partial

import numpy as np

from hiddenite.golden.rounding import shifted

BLOCK_BYTES = 64 * 2**20
"""What 64-bit sums may take at once, unless a single line of an image takes more."""


def max_pool(pool, x):
    """Return a maximum pool's output for a tensor (N, H, W, C), of its type, (N, OH, OW, C)."""
    for axis in _axes(pool, x.shape):
        x = _along(axis, pool, x, _largest)
    return x


def avg_pool(pool, x):
    """Return an average pool's output for a tensor (N, H, W, C), of its type, (N, OH, OW, C)."""
    output = np.empty((len(x), *pool.output_shape(x.shape[1:])), x.dtype)
    first, second = _axes(pool, x.shape)
    longest = max(x.shape[second], output.shape[second])
    line_bytes = 3 * np.dtype(np.int64).itemsize * longest * x.shape[3]
    images = max(1, BLOCK_BYTES // (line_bytes * max(x.shape[first], output.shape[first])))
    lines = max(1, BLOCK_BYTES // (line_bytes * images))
    for image in range(0, len(x), images):
        part = slice(image, image + images)
        # A line has at most 65,535 activations of 8 bits.
        sums = _along(first, pool, x[part], partial(_sum, dtype=np.int32)).swapaxes(1, first)
        made = output[part].swapaxes(1, first)
        for line in range(0, sums.shape[1], lines):
            block = np.s_[:, line : line + lines]
            v = _along(2, pool, sums[block], _sum, second)
            v *= pool.scale
            made[block] = shifted(v, pool.shift, x.dtype)
    return output


def _axes(pool, shape):
    """Return the axes of lines and columns in the order that makes less in between."""
    height, width, _ = pool.output_shape(shape[1:])
    return (1, 2) if height * shape[2] <= shape[1] * width else (2, 1)


def _along(axis, pool, x, function, of=None):
    """Reduce the windows along an axis of `x`; it is the one of the map that `of` says, or both."""
    of = of or axis
    kernel, stride = pool.kernel[of - 1], pool.strides[of - 1]
    before, after = pool.padding[of - 1 :: 2]
    count = (x.shape[axis] + before + after - kernel) // stride + 1
    starts, ends = _ranges(x.shape[axis], count, kernel, stride, before)
    return function(x.swapaxes(1, axis), starts, ends).swapaxes(1, axis)


def _ranges(size, count, kernel, stride, padding):
    """Return where each of `count` windows begins and ends on a map of `size`, as arrays.

    All of them hold at least one pixel: padding is smaller than the kernel.
    """
    # In Python's integers: a kernel may have any size.
    begins = [number * stride - padding for number in range(count)]
    starts = [max(begin, 0) for begin in begins]
    ends = [min(begin + kernel, size) for begin in begins]
    return np.array(starts), np.array(ends)


def _sum(x, starts, ends, dtype=np.int64):
    """Return sums of x[:, start:end] for each start and end, (N, windows, ...)."""
    before = np.zeros((len(x), x.shape[1] + 1, *x.shape[2:]), dtype)
    np.cumsum(x, axis=1, out=before[:, 1:])
    return before[:, ends] - before[:, starts]


def _largest(x, starts, ends):
    """Return the largest of x[:, start:end] for each start and end, (N, windows, ...).

    A range is covered by two runs whose length is a power of two; these are made from those of
    half their length.
    """
    output = np.empty((len(x), len(starts), *x.shape[2:]), x.dtype)
    levels = np.array([int(length).bit_length() - 1 for length in ends - starts])
    run = x
    for level in range(levels.max() + 1):
        if level:
            half = 1 << (level - 1)
            run = np.maximum(run[:, :-half], run[:, half:])
        (here,) = np.nonzero(levels == level)
        if len(here):
            output[:, here] = np.maximum(run[:, starts[here]], run[:, ends[here] - (1 << level)])
    return output
