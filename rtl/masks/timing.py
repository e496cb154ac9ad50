"""How often a lane of the constructor takes a step, and how soon it gets a tile or a word."""

from ..configuration import Technology

__all__ = ["begin_latency", "ready_latency", "step_period"]


def step_period(c: Technology) -> int:
    """Cycles from step to step of a constructor lane.

    Two with registers between the halves of a step, which the serial decoder has no use for.
    """
    return 2 if c.pipelining > 1 and c.mask_decoder == "parallel" else 1


def begin_latency(c: Technology) -> int:
    """Cycles from the start of a tile until the lanes know of it."""
    return step_period(c) - 1


def ready_latency(c: Technology) -> int:
    """Cycles from a decoder's last byte moving on until the lane can be dealt its next word.

    None, or one each for a register of the decoder's and of the constructor's.
    """
    return 2 * (step_period(c) - 1)
