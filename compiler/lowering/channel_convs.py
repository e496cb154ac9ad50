"""Convs that bring channels to other channels: one weight kept for each output channel.

Its sign is generated, hence known; the sign of the scale takes it off.
"""

from collections.abc import Sequence

import numpy as np

from hiddenite.golden.network import Conv
from hiddenite.golden.weights import signs
from hiddenite.rtl.configuration import Configuration

from .costs import stage_cycles

__all__ = ["MOST_CHANNELS", "Slice", "channel_conv", "slices"]

MOST_CHANNELS = 256
"""Output channels of one such conv at most. Its mask has as many input channels, all but one of
which are pruned."""

Slice = tuple[range, range]
"""Output channels, and the input channels among which theirs are; both begin a word."""

_INDEX = 0
"""Weight-set index: any would do."""


def channel_conv(
    name: str,
    source: str,
    picks: Sequence[int],
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
    picks : sequence of int
    channels : int
        Of the input.
    seed : int
        The network's.
    """
    count = len(picks)
    mask = np.zeros((count, 1, 1, channels), bool)
    kept = np.arange(count), 0, 0, np.asarray(picks)
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


def slices(
    c: Configuration,
    picks: Sequence[int],
    size: tuple[int, int],
    images: int,
    *,
    residual: bool = False,
) -> list[Slice]:
    """Divide a conv that picks channels into as many as take the fewest cycles.

    One has fewer tables, many read fewer words for each output channel.

    Parameters
    ----------
    c : Configuration
    picks : sequence of int
        Input channel of each output channel, ascending.
    size : (int, int)
        Height and width of the map.
    images : int
    residual : bool
        It has one.
    """

    def divided(width: int) -> list[Slice]:
        found = []
        for first in range(0, len(picks), width):
            own = picks[first : first + width]
            outputs = range(first, first + len(own))
            found.append((outputs, range(own[0] // c.ich * c.ich, own[-1] + 1)))
        return found

    def cycles(found: list[Slice]) -> int:
        return sum(
            stage_cycles(
                c,
                (*size, len(outputs)),
                images,
                steps=-(-len(inputs) // c.ich),
                conv=True,
                residual=residual,
            )
            for outputs, inputs in found
        )

    width = max(c.ich, c.och)
    widths = [width]
    while width < min(len(picks), MOST_CHANNELS):
        width *= 2
        widths.append(width)
    return min((divided(width) for width in reversed(widths)), key=cycles)
