"""What goes beside the activations of a step, from the window to the array and to the sums.

::

    step ─►│─►│─► ... ─►│─► valid, first, last       beside the operands, at the array
                     │
                     └─► load_residual                a cycle before
    of a pool, counted from its last step ─► pool_next
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import Step
from .activation_memory import memory_latency

__all__ = ["StepPipeline"]


class StepPipeline(wiring.Component):
    """Delays a step by `memory_latency`.

    Parameters
    ----------
    c : Configuration
    pool_delay : int
        Cycles from a step of a pool, as the window gives it, to ``pool_next``.

    Members
    -------
    step : from the window
    maximum : the layer is a maximum, of which the array needs only the last step
    valid, first, last : a step's operands are at the array; the first or last one of a pixel tile
    load_residual : bit n: word n of a residual comes next; words are read one after the other
    pool_next : the last step of a pool's pixel tile, ``pool_delay`` later
    """

    def __init__(self, c: Configuration, pool_delay: int):
        self.c, self.pool_delay = c, pool_delay
        super().__init__(
            {
                "step": In(Step(c)),
                "maximum": In(1),
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "load_residual": Out(c.och // c.unit),
                "pool_next": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        latency = memory_latency(self.c)
        steps = [self.step]
        for stage in range(latency):
            step = Signal.like(self.step, name=f"step_{stage}")
            m.d.sync += step.eq(steps[-1])
            steps.append(step)
        step, before = steps[-1], steps[-2]
        m.d.comb += [
            self.valid.eq(step.valid & (step.last | ~self.maximum)),
            self.first.eq(step.first | self.maximum),
            self.last.eq(step.last),
        ]

        word = Signal(ceil_log2(len(self.load_residual)))
        m.d.sync += self.load_residual.eq(before.residual << word)
        with m.If(before.residual):
            m.d.sync += word.eq(word + 1)

        source = steps[min(self.pool_delay, latency)]
        pool_next = source.valid & source.last
        for stage in range(latency, self.pool_delay):
            following = Signal(name=f"pool_next_{stage}")
            m.d.sync += following.eq(pool_next)
            pool_next = following
        m.d.comb += self.pool_next.eq(pool_next)
        return m
