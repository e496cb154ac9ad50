"""The loop over a window's taps along one axis."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.utils import ceil_log2

from ..configuration import Configuration

__all__ = ["WindowAxis", "next_pixel"]


def next_pixel(phases_last, phase, bank, banks=1):
    """State of a walk along an axis one pixel on, or with one plane, as many pixels as ``banks``.

    See `hiddenite.rtl.program.layer_table.LayerDescriptor`. Of rows of banks that a step passes
    entirely the address alone knows.

    Returns
    -------
    wrap, row, phase, bank : Value
        ``wrap`` is 1 where the walk goes on to the next q, ``row`` where that is in the next row of
        banks.
    """
    wrap = phase == phases_last
    further = bank + Mux(wrap, banks, 0)
    return wrap, further[len(bank)], Mux(wrap, 0, phase + 1), further[: len(bank)]


class WindowAxis:
    """The loop over the taps along one axis; with one bank, each tap is in a row of its own."""

    def __init__(self, m: Module, axis, c: Configuration, banks: int, name: str):
        self.axis, self.banks, self.name = axis, banks, name
        self.tap = Signal(ceil_log2(c.largest_kernel), name=f"tap_{name}")
        self.phase = Signal(ceil_log2(c.largest_stride), name=f"phase_{name}")
        self.bank = Signal(ceil_log2(banks), name=f"loop_bank_{name}")
        self.last = Signal(name=f"last_{name}")

    def begin(self, m: Module):
        """Go to the first tap."""
        m.d.sync += [self.tap.eq(0), self.last.eq(self.axis.kernel_last == 0)]
        if self.banks > 1:
            m.d.sync += [self.phase.eq(self.axis.phase), self.bank.eq(self.axis.bank)]

    def step(self, m: Module):
        """Go to the next tap, from the last one back to the first."""
        following = (self.tap + 1)[: len(self.tap)]
        m.d.sync += [self.tap.eq(following), self.last.eq(following == self.axis.kernel_last)]
        if self.banks > 1:
            _, _, phase, bank = self._next()
            m.d.sync += [self.phase.eq(phase), self.bank.eq(bank)]
        with m.If(self.last):
            self.begin(m)

    def row(self, rows: dict):
        """Row of the table for the step to the next tap."""
        if self.banks == 1:
            return rows[f"{self.name}_row"]
        wrap, row, *_ = self._next()
        further = Mux(row, rows[f"{self.name}_row"], rows[f"{self.name}_wrap"])
        return Mux(wrap, further, rows[f"{self.name}_step"])

    def _next(self):
        axis = self.axis
        return next_pixel(axis.phases_last, self.phase, self.bank, axis.bank_step)

    def inside(self, position, behind):
        """Which pixel lanes are inside the map; far behind it a position is negative again."""
        sign = len(position) - 1
        stride = self.axis.phases_last + 1 if self.banks > 1 else 0
        return Cat(
            ~(position + lane * stride)[sign] & (behind + lane * stride)[sign]
            for lane in range(self.banks)
        )
