"""When the array wants its operands, and when its sums are there.

Functions of the configuration: the memories in front of the array and the sum buffer behind it
follow them.
"""

from ..configuration import Configuration
from .builds import build_of

__all__ = ["activation_skew", "array_latency", "channel_delays", "pixel_delays", "weight_skew"]

WEIGHTS_TOGETHER = 8
"""Inputs of a chain whose masks and signs come together: as wide as a block RAM of an ECP5."""


def array_latency(c: Configuration) -> int:
    """Cycles from the operands of the array to its accumulators of the first pixel.

    Chains take operands from registers of the array's own, as they are all over the part.
    """
    build = build_of(c)
    return build.latency(c.ich) + build.chained


def activation_skew(c: Configuration) -> tuple[int, ...]:
    """Cycles that each byte of an activation word comes after its first one.

    A chain of adders takes its inputs one after the other, so that memories give bytes in that
    order, too. The units of a word come together: a pool takes any of them for its first one.
    """
    skewed = build_of(c).chained and c.activation_ports == 2
    return tuple(i % c.unit if skewed else 0 for i in range(c.ich))


def weight_skew(c: Configuration) -> tuple[int, ...]:
    """Cycles that each input's mask and sign come after the first one's, for the same reason."""
    chained = build_of(c).chained
    return tuple(i // WEIGHTS_TOGETHER * WEIGHTS_TOGETHER if chained else 0 for i in range(c.ich))


def pixel_delays(c: Configuration) -> tuple[int, ...]:
    """Cycles that each pixel of a tile goes through the array later than the first one.

    Chains hand masks and signs on from two pixels to the next two, or from as many as leave the
    post-processor at once.
    """
    together = max(2, c.post_pixels)
    return tuple(n // together if _hands_on(c) else 0 for n in range(c.banks))


def channel_delays(c: Configuration) -> tuple[int, ...]:
    """Cycles that each output channel of a pixel goes through the array later than the first.

    In a large part, chains hand activations on from some channels to the next ones, no sooner than
    these leave the post-processor.
    """
    together = max(c.post_lanes, c.och // 4)
    far = _hands_on(c) and c.pipelining > 2
    return tuple(n // together if far else 0 for n in range(c.och))


def _hands_on(c: Configuration) -> bool:
    """Dot products need not have their operands at once, nor need sums be taken at once."""
    return build_of(c).chained and c.pipelining > 0
