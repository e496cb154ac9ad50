"""Ends the wait for streams that bring nothing any more."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["Watchdog"]


class Watchdog(wiring.Component):
    """Counts cycles in which some stream waits and none brings anything.

    Parameters
    ----------
    limit : int
        Cycles in a row that are too many, at least 1.

    Members
    -------
    silent : this cycle counts
    expired : ``limit`` cycles in a row were silent, up to the cycle before
    """

    def __init__(self, limit: int):
        self.limit = limit
        super().__init__({"silent": In(1), "expired": Out(1)})

    def elaborate(self, platform):
        m = Module()
        # The last one of them makes the carry, which takes less logic than a comparison.
        bits = ceil_log2(self.limit)
        count = Signal(bits, init=(1 << bits) - self.limit)
        total = Signal(bits + 1)
        m.d.comb += total.eq(count + 1)
        m.d.sync += [count.eq(total), self.expired.eq(total[bits] & self.silent)]
        with m.If(~self.silent):
            m.d.sync += count.eq(count.init)
        return m
