"""Weights of a model as -1, 0 and 1."""

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.importer.values import check_float

MAX_WEIGHT = 3
"""The largest weight in units of its scale: an input is read as often as that."""

_TOLERANCE = 1e-6


def integer_weights(where, weights):
    """Return weights as integers and the scale of each output channel.

    Parameters
    ----------
    where : str
        What messages call the node.
    weights : float32 array, (O, ...)
        What the model multiplies with.

    Returns
    -------
    (int8 array, float64 array)
        Of the same shape, each -`MAX_WEIGHT` to `MAX_WEIGHT`; and (O,).

    Raises
    ------
    InputError
        They are no such integers times a scale of their output channel.
    """
    check_float(where, "weights", weights)
    if not weights.size:
        raise InputError(f"{where}: weights must be at least one, not of shape {weights.shape}")
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    sizes = np.abs(rows)
    # One scale for all channels, where there is one: results of the last layer compare then.
    least = np.where(sizes > 0, sizes, np.inf).min()
    if not np.isfinite(least):
        return np.zeros(weights.shape, np.int8), np.ones(len(rows))
    for parts in range(1, MAX_WEIGHT + 1):
        scale = np.full(len(rows), least / parts)
        integers = _integers(rows, scale[:, None])
        if integers is not None:
            return integers.reshape(weights.shape), scale
    integers = np.zeros(rows.shape, np.int8)
    scale = np.ones(len(rows))
    for channel, row in enumerate(rows):
        if not row.any():
            continue
        least = np.abs(row[row != 0]).min()
        for parts in range(1, MAX_WEIGHT + 1):
            found = _integers(row, least / parts)
            if found is not None:
                integers[channel], scale[channel] = found, least / parts
                break
        else:
            values = np.unique(row)
            raise InputError(
                f"{where}: weights of output channel {channel} must be whole numbers from"
                f" -{MAX_WEIGHT} to {MAX_WEIGHT} times a scale, of a quantiser of 1 or 2 bits, not"
                f" {len(values)} values such as {one_line([float(f'{v:.6g}') for v in values[:4]])}"
            )
    scale[~integers.any(1)] = scale[integers.any(1)][0]
    return integers.reshape(weights.shape), scale


def _integers(rows, scale):
    integers = (rows / scale).round()
    if np.abs(integers).max() > MAX_WEIGHT:
        return None
    if (np.abs(integers * scale - rows) > _TOLERANCE * np.abs(rows)).any():
        return None
    return integers.astype(np.int8)
