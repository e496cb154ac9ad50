"""Convs that bring channels to other channels: one weight kept for each output channel.

Its sign is generated, hence known; the sign of the scale takes it off.
"""

import numpy as np

from hiddenite.golden.network import Conv
from hiddenite.golden.weights import signs

__all__ = ["channel_conv"]

_INDEX = 0
"""Weight-set index: any would do."""


def channel_conv(
    name: str,
    source: str,
    picks: np.ndarray,
    channels: int,
    seed: int,
    *,
    scale: int = 2,
    shift: int = 1,
    residual: str | None = None,
    residual_scale: int | None = None,
) -> Conv:
    """A conv of which output channel o is input channel ``picks[o]``, times the scale.

    Parameters
    ----------
    name, source, residual, residual_scale, scale, shift
        See `Conv`. With the scale and the shift that it has by default, and without a residual,
        activations stay as they are.
    picks : numpy.ndarray of int
    channels : int
        Of the input.
    seed : int
        The network's.
    """
    count = len(picks)
    mask = np.zeros((count, 1, 1, channels), bool)
    kept = np.arange(count), 0, 0, picks
    mask[kept] = True
    sign = signs(seed, _INDEX, mask.shape)[kept].astype(np.int16)
    return Conv(
        name=name,
        input=source,
        index=_INDEX,
        out_channels=count,
        kernel=(1, 1),
        mask=mask,
        scale=sign * np.int16(scale),
        bias=np.zeros(count, np.int32),
        shift=shift,
        residual=residual,
        residual_scale=residual_scale,
    )
