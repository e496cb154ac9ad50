"""Convs, whatever their kernel: memory is that of the map, the output and the weights.

Accumulators are matrix products in floating point, of integers that are small enough to be exact
in it; everything after them is in 64-bit integers.
"""

import math
from itertools import product

import numpy as np

from hiddenite.golden.rounding import shifted
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

    def matrices(self, conv):
        """Return a conv's masked signs as (groups, KH * KW * I, O / groups)."""
        # Layers with one index and one mask have the same weights.
        key = conv.mask.ctypes.data, conv.mask.shape, conv.groups
        key += (conv.index,) if conv.sign is None else ("sign", conv.sign.ctypes.data)
        if (matrices := self._kept.get(key)) is None:
            matrices = _weight_matrices(self._seed, conv)
            if self._bytes + matrices.nbytes <= WEIGHT_BYTES:
                self._kept[key] = matrices
                self._bytes += matrices.nbytes
        return matrices


def _weight_matrices(seed, conv):
    """Return a conv's masked signs as (groups, KH * KW * I, O / groups), in an exact type.

    Sums of n products of an 8-bit activation and -1, 0 or 1 are at most 255 * n, whatever the
    order of the additions.
    """
    kept = np.count_nonzero(conv.mask, axis=(1, 2, 3)).max()
    dtype = np.float32 if 255 * kept < 2**24 else np.float64
    if conv.sign is None:
        weights = signs(seed, conv.index, conv.mask.shape) * conv.mask
    else:
        weights = np.where(conv.sign, np.int8(-1), conv.mask.view(np.int8))
    weights = weights.reshape(conv.groups, conv.out_channels // conv.groups, -1)
    return np.ascontiguousarray(weights.swapaxes(1, 2), dtype=dtype)


def convolve(conv, weights, x, residual=None):
    """Return a conv's output, a block of its pixels at a time.

    Parameters
    ----------
    conv : Conv
        The layer.
    weights : array, (groups, KH * KW * I, O / groups)
        From `Weights`.
    x : uint8 or int8 array, (N, H, W, C)
        Its input.
    residual : uint8 or int8 array, (N, OH, OW, O), optional
        What is added after the scale.

    Returns
    -------
    uint8, int8 or int32 array, (N, OH, OW, O)
    """
    height, width, _ = conv.output_shape(x.shape[1:])
    weights = weights.reshape(conv.groups, *conv.kernel, *conv.mask.shape[3:], -1)
    output = np.empty((len(x), height, width, conv.out_channels), conv.output)
    images, lines, columns = _block_size(conv, weights, x.shape, output.shape)
    for image, line, column in product(
        range(0, len(x), images), range(0, height, lines), range(0, width, columns)
    ):
        block = np.s_[image : image + images, line : line + lines, column : column + columns]
        v = _accumulators(conv, weights, x[block[0]], block[1:], (height, width))
        output[block] = _finish(conv, v, None if residual is None else residual[block])
    return output


def _accumulators(conv, weights, x, block, output_size):
    """Return the accumulators of a block of outputs as int64, (N, lines, columns, O)."""
    pixels = (
        len(x),
        *(min(part.stop, size) - part.start for part, size in zip(block, output_size, strict=True)),
    )
    seen = _windows(conv, x, block, output_size)
    if seen is None:
        return np.zeros((*pixels, conv.out_channels), np.int64)
    windows, taps = seen
    # Each group's channels and taps in a row, as its weights are.
    windows = windows.reshape(*windows.shape[:5], conv.groups, -1)
    windows = np.moveaxis(windows, 5, 0).astype(weights.dtype, order="C")
    matrices = windows.reshape(conv.groups, math.prod(pixels), -1)
    # BLAS may compute with what lies behind a row, too, and tell of that (numpy#24067); all
    # that it is given are integers.
    with np.errstate(invalid="ignore"):
        products = matrices @ weights[:, *taps].reshape(conv.groups, matrices.shape[2], -1)
    return products.swapaxes(0, 1).astype(np.int64, order="C").reshape(*pixels, -1)


def _block_size(conv, weights, shape, output_shape):
    """Return (images, lines, columns) of a block of outputs that takes at most `BLOCK_BYTES`."""
    size = list(output_shape[:3])

    def taken():
        # The windows' taps that lie on the map, and the map with what is between them.
        taps = [
            min(kernel, (here - 1 + (count - 1) * stride) // dilation + 1)
            for kernel, here, count, stride, dilation in zip(
                conv.kernel, shape[1:3], size[1:], conv.strides, conv.dilation, strict=True
            )
        ]
        padded = [
            (count - 1) * stride + (tap - 1) * dilation + 1
            for count, stride, tap, dilation in zip(
                size[1:], conv.strides, taps, conv.dilation, strict=True
            )
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

    It is None where all taps lie on the padding, as where a dilated kernel has the map between two
    of them.
    """
    taps, inside, padding, spans = [], [], [], []
    # In Python's integers: kernels, strides and dilations may have any size.
    for axis, part in enumerate(block):
        size, kernel, dilation = x.shape[1 + axis], conv.kernel[axis], conv.dilation[axis]
        stop = min(part.stop, output_size[axis])
        # Where the kernel's first tap is for the first and for the last output.
        first, last = (
            number * conv.strides[axis] - conv.padding[axis] for number in (part.start, stop - 1)
        )
        tap = slice(max(0, -(last // dilation)), min(kernel, (size - 1 - first) // dilation + 1))
        if tap.start >= tap.stop:
            return None
        begin, end = first + tap.start * dilation, last + (tap.stop - 1) * dilation + 1
        taps.append(tap)
        spans.append((tap.stop - 1 - tap.start) * dilation + 1)
        inside.append(slice(max(begin, 0), min(end, size)))
        padding.append((max(-begin, 0), max(end - size, 0)))
    x = x[:, inside[0], inside[1]]
    if any(map(any, padding)):
        x = np.pad(x, ((0, 0), *padding, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(1, 2))
    # (N, lines, columns, C, taps)
    windows = windows[:, :: conv.strides[0], :: conv.strides[1]]
    windows = windows[..., :: conv.dilation[0], :: conv.dilation[1]]
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
    return shifted(v, conv.shift, conv.output)
