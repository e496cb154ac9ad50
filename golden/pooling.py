"""Pools, whatever their kernel: time and memory are those of the map and the output.

A window that reaches far beyond the map is cut to the map first: padding counts as 0, which adds
nothing to a sum, and no activation is less. Rows and columns are reduced one after the other.
"""

import numpy as np

BLOCK_BYTES = 64 * 2**20
"""What sums of a block of images may take, unless a single image takes more."""

_SUM_BYTES = 40  # of an activation, at most: running sums along both axes


def max_pool(pool, x):
    """Return a maximum pool's output for images (N, H, W, C) as uint8, (N, OH, OW, C)."""
    return _reduce(pool, x, _largest)


def avg_pool(pool, x):
    """Return an average pool's output for images (N, H, W, C) as uint8, (N, OH, OW, C)."""
    shape = pool.output_shape(x.shape[1:])
    output = np.empty((len(x), *shape), np.uint8)
    image_bytes = _SUM_BYTES * max(np.prod(x.shape[1:]), np.prod(shape))
    block = max(1, int(BLOCK_BYTES // image_bytes))
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        v = _reduce(pool, x[part], _sum)
        v *= pool.scale
        v += 1 << (pool.shift - 1)
        v >>= pool.shift
        output[part] = np.minimum(v, 255, out=v)
    return output


def _reduce(pool, x, function):
    """Reduce windows along rows and columns, in the order that makes less in between."""
    height, width, _ = pool.output_shape(x.shape[1:])
    sizes = {1: height, 2: width}
    axes = (1, 2) if height * x.shape[2] <= x.shape[1] * width else (2, 1)
    for axis in axes:
        starts, ends = _ranges(
            x.shape[axis],
            sizes[axis],
            pool.kernel[axis - 1],
            pool.stride[axis - 1],
            pool.padding[axis - 1],
        )
        x = function(x.swapaxes(1, axis), starts, ends).swapaxes(1, axis)
    return x


def _ranges(size, count, kernel, stride, padding):
    """Return where each of `count` windows begins and ends on a map of `size`, as arrays.

    All of them hold at least one pixel: padding is smaller than the kernel.
    """
    # In Python's integers: a kernel may have any size.
    begins = [number * stride - padding for number in range(count)]
    starts = [max(begin, 0) for begin in begins]
    ends = [min(begin + kernel, size) for begin in begins]
    return np.array(starts), np.array(ends)


def _sum(x, starts, ends):
    """Return sums of x[:, start:end] for each start and end: int64, (N, windows, ...)."""
    before = np.zeros((len(x), x.shape[1] + 1, *x.shape[2:]), np.int64)
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
