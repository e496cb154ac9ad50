"""How often a lane of the constructor takes a step."""

from ..configuration import Technology

__all__ = ["step_period"]


def step_period(c: Technology) -> int:
    """Cycles from step to step of a constructor lane.

    Two with registers between the halves of a step, which the serial decoder has no use for.
    """
    return 2 if c.pipelining > 1 and c.mask_decoder == "parallel" else 1
