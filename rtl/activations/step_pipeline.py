"""What goes beside the activations of a step, from the window to the array and to the sums.

::

    step ─►│─►│─► ... ─►│─► valid, first, last       beside the operands, at the array
                     │
                     └─► load_residual                a cycle before
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

    Members
    -------
    step : from the window
    maximum : the layer is a maximum, of which the array needs only the last step
    valid, first, last : a step's operands are at the array; the first or last one of a pixel tile
    load_residual : bit n: word n of a residual comes next; words are read one after the other
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "step": In(Step(c)),
                "maximum": In(1),
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "load_residual": Out(c.och // c.unit),
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
        return m
