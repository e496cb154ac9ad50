"""Pooling: maximum or sum over a window, for the channels of one unit at all pixels of a tile."""

from amaranth.hdl import Array, Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .configuration import Configuration

__all__ = ["Pool"]


class Pool(wiring.Component):
    """Running maximum or sum of each channel. Latency from the last step to ``done``: 1 cycle.

    Members
    -------
    pixels : activation words, as `ActivationMemory` gives them
    part : which ``min(ich, och)`` channels of the word are pooled
    average : sum instead of maximum; changes only while nothing is pooled
    valid, first, last : the pixels are a step; the first or last one of a pixel tile
    totals : results of ``pool_bits``, channel fastest, then column, then row
    done : ``totals`` is that of a whole pixel tile
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "pixels": In(c.banks * c.ich * 8),
                "part": In(ceil_log2(c.ich // c.unit)),
                "average": In(1),
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "totals": Out(c.banks * c.unit * c.pool_bits),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        high_bits = c.pool_bits - 8
        m.d.sync += self.done.eq(self.valid & self.last)
        starts = Signal()
        m.d.comb += starts.eq(self.first | ~self.average)
        for pixel in range(c.banks):
            word = self.pixels.word_select(pixel, 8 * c.ich)
            parts = Array(word.word_select(i, 8 * c.unit) for i in range(c.ich // c.unit))
            unit = Signal(8 * c.unit, name=f"unit_{pixel}")
            m.d.comb += unit.eq(parts[self.part] if c.ich > c.unit else word)
            for channel in range(c.unit):
                index = pixel * c.unit + channel
                x = unit.word_select(channel, 8)
                # The sum as it is, but the complement of the maximum, so that one adder without
                # anything before it serves both: its carry says that x is the larger one.
                state = Signal(c.pool_bits, name=f"state_{index}")
                result = Signal(c.pool_bits + 1, name=f"result_{index}")
                m.d.comb += [
                    result.eq(state + x),
                    self.totals.word_select(index, c.pool_bits).eq(
                        state ^ Cat((~self.average).replicate(8), Const(0, high_bits))
                    ),
                ]
                # Above the maximum's eight bits there are zeros.
                with m.If(self.valid & (self.average | self.first | result[8])):
                    m.d.sync += state.eq(result)
                    with m.If(starts):
                        m.d.sync += state.eq(x ^ (~self.average).replicate(8))
        return m
