"""When sums are captured, and how soon the next ones may follow.

::

    last step issued ─► operands ─► sums captured ─► first beat's outputs ─► last beat's
                    operand_latency               post_latency          beats - 1
                    └──── capture_latency ────┘

The window issues the last step of a pixel tile only when the sum buffer will have room for its
sums, see `tile_period`.
"""

from ..activations.window import operand_latency
from ..array.timing import array_latency
from ..configuration import Configuration
from .post_lane import lane_latency
from .sum_buffer import sum_buffer_latency

__all__ = ["capture_latency", "output_beats", "pool_period", "post_latency", "tile_period"]


def capture_latency(c: Configuration) -> int:
    """Cycles from the issue of a pixel tile's last step until its sums are captured."""
    return operand_latency(c) + array_latency(c)


def post_latency(c: Configuration) -> int:
    """Cycles from the sum buffer's going on from a beat to its outputs."""
    return sum_buffer_latency(c) + lane_latency(c)


def output_beats(c: Configuration, conv: bool) -> int:
    """Beats of ``post_lanes`` outputs of a pixel tile."""
    return c.banks * (c.och if conv else c.unit) // c.post_lanes


def pool_period(c: Configuration) -> int:
    """Cycles from a pixel tile of a pool to the next one, at least.

    Where they are fewer than a sum takes to its outputs, several sums are on their way; the sum
    buffer gives one's last output before the next one comes.
    """
    return min(max(2, output_beats(c, conv=False)), capture_latency(c) + 1)


def tile_period(c: Configuration, *, conv: bool, to_result: bool, residual_words: int) -> int:
    """Cycles from the last step of a pixel tile to the next one's, at least.

    Parameters
    ----------
    c : Configuration
    conv : bool
        A pool otherwise.
    to_result : bool
        The outputs go to the result stream: how long they wait there is unknown, so that no step
        is issued in advance.
    residual_words : int
        Words of the residual that are read before the last step.
    """
    beats = output_beats(c, conv)
    if not conv and not to_result:
        return max(pool_period(c), beats)
    on_way = operand_latency(c) if residual_words else capture_latency(c)
    early = 0 if to_result else on_way + 1
    return capture_latency(c) + 1 + max(0, beats - early) + residual_words
