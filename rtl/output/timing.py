"""When sums are captured, and how soon the next ones may follow.

::

    last step issued ─► operands ─► sums captured ─► first beat's outputs ─► last beat's
                    operand_latency               post_latency          beats - 1
                    └──── capture_latency ────┘

The last step of a pixel tile is issued only when the sum buffer will have room for its sums, see
`hiddenite.rtl.output.tile_slots`.
"""

from ..activations.window import operand_latency
from ..array.timing import array_latency
from ..configuration import Configuration
from .post_lane import lane_latency
from .residual_queue import queues_residuals
from .sum_buffer import sum_buffer_latency

__all__ = ["capture_latency", "output_beats", "post_latency", "tile_period"]


def capture_latency(c: Configuration) -> int:
    """Cycles from the issue of a pixel tile's last step until its sums are captured."""
    return operand_latency(c) + array_latency(c)


def post_latency(c: Configuration) -> int:
    """Cycles from the sum buffer's going on from a beat to its outputs."""
    return sum_buffer_latency(c) + lane_latency(c)


def output_beats(
    c: Configuration, conv: bool, channels: int | None = None, *, pixels: int = 1
) -> int:
    """Beats of ``post_lanes`` outputs of a pixel tile, for so many pixels at once.

    Parameters
    ----------
    c : Configuration
    conv : bool
        A pool otherwise.
    channels : int, optional
        Of the layer: with ``pipelining``, one that fill no tile have fewer beats. By default they
        fill one.
    pixels : int
        Of a beat: ``post_pixels``, or one.
    """
    share = c.och if conv else c.unit
    if channels is not None and c.pipelining:
        share = min(share, -(-channels // c.post_lanes) * c.post_lanes)
    return c.banks // pixels * share // c.post_lanes


def tile_period(c: Configuration, *, beats: int, to_result: bool, residual: bool) -> int:
    """Cycles from a pixel tile's last step to the next one's, or to its residual's first word.

    That is how many they are at least, see `hiddenite.rtl.output.tile_slots`. Words of a residual
    wait for that unless they are queued.

    Parameters
    ----------
    c : Configuration
    beats : int
        Of the pixel tile's outputs.
    to_result : bool
        The outputs go to the result stream.
    residual : bool
        The layer has a residual.
    """
    if to_result:
        return capture_latency(c) + 1 + beats
    waits = array_latency(c) if residual and not queues_residuals(c) else 0
    return max(2, beats + waits)
