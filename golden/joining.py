"""Adds, concats and upsamples: what is computed without a window."""

import numpy as np

from hiddenite.golden.rounding import shifted

BLOCK_BYTES = 64 * 2**20
"""What 64-bit sums may take at once."""


def add(layer, x, residual):
    """Return an add's output.

    No sum reaches 64 bits: activations have 8 bits and factors at most 24.

    Parameters
    ----------
    layer : Add
        The layer.
    x, residual : uint8 or int8 array, (N, H, W, C)
        What it adds.

    Returns
    -------
    uint8 or int8 array, (N, H, W, C)
    """
    output = np.empty(x.shape, layer.output)
    flat, x, residual = output.reshape(-1), x.reshape(-1), residual.reshape(-1)
    count = max(1, BLOCK_BYTES // (2 * np.dtype(np.int64).itemsize))
    for start in range(0, len(flat), count):
        block = slice(start, start + count)
        v = x[block].astype(np.int64) * layer.scale
        v += residual[block].astype(np.int64) * layer.residual_scale
        flat[block] = shifted(v, layer.shift, layer.output)
    return output


def upsample(layer, x):
    """Return an upsample's output for a tensor (N, H, W, C): each pixel several times."""
    count, height, width, channels = x.shape
    down, across = layer.factor
    output = np.empty((count, height, down, width, across, channels), x.dtype)
    output[:] = x[:, :, None, :, None, :]
    return output.reshape(count, height * down, width * across, channels)
