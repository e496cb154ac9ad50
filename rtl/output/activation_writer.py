"""Outputs on their way into the activation memory, a unit of ``min(ich, och)`` bytes at a time.

::

    beat ─► unit of each of post_pixels pixels ─► every unit of a word ─► activation memory
            (unit / post_lanes beats)
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import ActivationWrite
from ..primitives.delay import delayed

__all__ = ["ActivationWriter", "write_latency"]


def write_latency(c: Configuration) -> int:
    """Cycles from the beat that ends a unit to its write; later where the memory is far."""
    return 1 + 2 * (c.pipelining > 0 and c.activation_ports == 2)


class ActivationWriter(wiring.Component):
    """Collects beats to units. Latency to ``write``: `write_latency`.

    Members
    -------
    taken : a beat is taken in this cycle
    beat : its bytes, of each of `post_pixels` pixels
    part : which part of a unit it is
    ends : it ends a unit, which is written
    bank_y, columns, parts : where the unit goes, see `ActivationWrite`
    address : likewise, a cycle later than the beat
    write : `ActivationWrite`
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "taken": In(1),
                "beat": In(c.post_pixels * 8 * c.post_lanes),
                "part": In(ceil_log2(c.unit // c.post_lanes)),
                "ends": In(1),
                "bank_y": In(ceil_log2(c.rows)),
                "columns": In(c.cols),
                "parts": In(c.ich // c.unit),
                "address": In(c.address_bits),
                "write": Out(ActivationWrite(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, write = self.c, self.write
        beats = c.unit // c.post_lanes

        def late(value, name, reset_less=True):
            for turn in range(write_latency(c) - 1):
                value = delayed(m, value, f"late_{name}_{turn}", reset_less=reset_less)
            return value

        collected = Signal(c.post_pixels * 8 * c.unit, reset_less=True)
        beat = late(self.beat, "beat")
        for index in range(beats):
            own = self.taken & (self.part == index if beats > 1 else 1)
            with m.If(late(own, f"part_{index}")):
                m.d.sync += collected.word_select(index, len(beat)).eq(beat)
        units = [collected.word_select(n, 8 * c.unit) for n in range(c.post_pixels)]
        m.d.comb += [
            write.address.eq(late(self.address, "address")),
            write.data.eq(Cat(unit.replicate(c.ich // c.unit) for unit in units)),
        ]
        m.d.sync += [
            write.enable.eq(late(self.ends, "write", False)),
            write.bank_y.eq(late(self.bank_y, "bank_y")),
            write.parts.eq(late(self.parts, "parts")),
        ]
        if c.cols > 1:
            m.d.sync += write.columns.eq(late(self.columns, "columns"))
        else:
            m.d.comb += write.columns.eq(1)
        return m
