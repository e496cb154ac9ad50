"""Convs, whatever their kernel: memory is that of the map, the output and the weights.

Accumulators are matrix products in floating point, of integers that are small enough to be exact
in it; everything after them is in 64-bit integers.
"""

import math
from itertools import product

import numpy as np

from hiddenite.golden.weights import signs

BLOCK_BYTES = 64 * 2**20
"""What the windows and accumulators of a block of outputs may take."""

WEIGHT_BYTES = 512 * 2**20
"""What weights may take that are kept from one batch to the next."""


class Weights:
    """Weight matrices of convs: as many as there is room for are kept for the next images.

    Parameters
    ----------
    seed : int
        The network's.
    """

    def __init__(self, seed):
        self._seed = seed
        self._kept = {}
        self._bytes = 0

    def matrix(self, conv):
        """Return a conv's masked signs as (KH * KW * C, O)."""
        # Layers with one index and one mask have the same weights.
        key = conv.index, conv.mask.ctypes.data, conv.mask.shape
        if (matrix := self._kept.get(key)) is None:
            matrix = _weight_matrix(self._seed, conv)
            if self._bytes + matrix.nbytes <= WEIGHT_BYTES:
                self._kept[key] = matrix
                self._bytes += matrix.nbytes
        return matrix


def _weight_matrix(seed, conv):
    """Return a conv's masked signs as (KH * KW * C, O), in a type whose sums are exact.

    Sums of n products of an 8-bit activation and -1, 0 or 1 are at most 255 * n, whatever the
    order of the additions.
    """
    kept = np.count_nonzero(conv.mask, axis=(1, 2, 3)).max()
    dtype = np.float32 if 255 * kept < 2**24 else np.float64
    weights = signs(seed, conv.index, conv.mask.shape) * conv.mask
    return np.ascontiguousarray(weights.reshape(conv.out_channels, -1).T, dtype=dtype)


def convolve(conv, weights, x, residual=None):
    """Return a conv's output, a block of its pixels at a time.

    Parameters
    ----------
    conv : Conv
        The layer.
    weights : array, (KH * KW * C, O)
        From `Weights`.
    x : uint8 array, (N, H, W, C)
        Its input.
    residual : uint8 array, (N, OH, OW, O), optional
        What is added after the scale.

    Returns
    -------
    uint8 or int32 array, (N, OH, OW, O)
    """
    out_channels = weights.shape[1]
    height, width, _ = conv.output_shape(x.shape[1:])
    weights = weights.reshape(*conv.kernel, -1, out_channels)
    output = np.empty((len(x), height, width, out_channels), conv.output)
    images, lines, columns = _block_size(conv, weights, x.shape, output.shape)
    for image, line, column in product(
        range(0, len(x), images), range(0, height, lines), range(0, width, columns)
    ):
        block = np.s_[image : image + images, line : line + lines, column : column + columns]
        windows, taps = _windows(conv, x[block[0]], block[1:], (height, width))
        matrix = windows.astype(weights.dtype, order="C").reshape(-1, math.prod(windows.shape[3:]))
        # BLAS may compute with what lies behind a row, too, and tell of that (numpy#24067); all
        # that it is given are integers.
        with np.errstate(invalid="ignore"):
            products = matrix @ weights[taps].reshape(-1, out_channels)
        accumulators = products.reshape(output[block].shape).astype(np.int64)
        output[block] = _finish(conv, accumulators, None if residual is None else residual[block])
    return output


def _block_size(conv, weights, shape, output_shape):
    """Return (images, lines, columns) of a block of outputs that takes at most `BLOCK_BYTES`."""
    size = list(output_shape[:3])

    def taken():
        # The windows' taps that lie on the map, and the map with what is between them.
        taps = [
            min(kernel, min(kernel, here) + (count - 1) * stride)
            for kernel, here, count, stride in zip(
                conv.kernel, shape[1:3], size[1:], conv.stride, strict=True
            )
        ]
        padded = [
            (count - 1) * stride + tap
            for count, stride, tap in zip(size[1:], conv.stride, taps, strict=True)
        ]
        # A pixel's window, its products, and two 64-bit numbers for each of these.
        matrix = weights.itemsize * (math.prod(taps) * shape[3] + output_shape[3])
        pixel = matrix + 16 * output_shape[3]
        return size[0] * (math.prod(size[1:]) * pixel + math.prod(padded) * shape[3])

    for axis in range(3):
        while size[axis] > 1 and taken() > BLOCK_BYTES:
            size[axis] = -(-size[axis] // 2)
    return size


def _windows(conv, x, block, output_size):
    """Return the windows of a block of outputs, and which of the kernel's taps they are.

    Taps that lie on the padding for the whole block are left out: however large a kernel is, its
    windows are then no larger than the map and the block.

    Parameters
    ----------
    conv : Conv
        The layer.
    x : array, (N, H, W, C)
        Its input.
    block : (slice, slice)
        Lines and columns of the output.
    output_size : (int, int)
        Of the whole output.

    Returns
    -------
    windows : array, (N, lines, columns, taps down, taps across, C)
        A view of the padded input.
    taps : (slice, slice)
        Of the kernel.
    """
    taps, inside, padding = [], [], []
    for axis, part in enumerate(block):
        size, kernel = x.shape[1 + axis], conv.kernel[axis]
        stop = min(part.stop, output_size[axis])
        # Where the kernel's first tap is for the first and for the last output.
        first, last = (
            number * conv.stride[axis] - conv.padding[axis] for number in (part.start, stop - 1)
        )
        tap = slice(max(0, -last), min(kernel, size - first))
        begin, end = first + tap.start, last + tap.stop
        taps.append(tap)
        inside.append(slice(max(begin, 0), min(end, size)))
        padding.append((max(-begin, 0), max(end - size, 0)))
    x = x[:, inside[0], inside[1]]
    if any(map(any, padding)):
        x = np.pad(x, ((0, 0), *padding, (0, 0)))
    shape = [tap.stop - tap.start for tap in taps]
    windows = np.lib.stride_tricks.sliding_window_view(x, shape, axis=(1, 2))
    windows = windows[:, :: conv.stride[0], :: conv.stride[1]]  # (N, lines, columns, C, taps)
    return windows.transpose(0, 1, 2, 4, 5, 3), tuple(taps)


def _finish(conv, v, residual):
    """Return outputs for accumulators, which are overwritten.

    No sum reaches 64 bits: a mask that fits in memory has fewer than 2**40 weights, so that an
    accumulator with its bias is below 2**49, and the scale has 15 bits and a sign.
    """
    v += conv.bias
    v *= conv.scale
    if residual is not None:
        v += residual.astype(np.int64) * conv.residual_scale
    v += 1 << (conv.shift - 1)
    v >>= conv.shift
    limits = np.iinfo(conv.output)
    return np.clip(v, limits.min, limits.max, out=v)
