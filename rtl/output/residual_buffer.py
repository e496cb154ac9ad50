"""Residual of one pixel tile, beside `hiddenite.rtl.output.sum_buffer`."""

from itertools import pairwise

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..array.timing import activation_skew
from ..configuration import Configuration
from ..primitives.delay import delayed

__all__ = ["ResidualBuffer"]


class ResidualBuffer(wiring.Component):
    """Holds the residual of a pixel tile, and gives a beat of it at a time.

    Latency from ``next`` to ``added``: none. Like the sum buffer it shifts, and is 0 after each
    layer, since a conv shifts out all that it loads.

    Members
    -------
    load, pixels : bit n: takes word n of the residual of the pixel tile that is captured next; its
        part of the tile's channels comes first; byte i may be `activation_skew` late
    next : goes on to the next beat
    added : bytes of the residual of a beat
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "load": In(c.och // c.unit),
                "pixels": In(c.banks * c.ich * 8),
                "next": In(1),
                "added": Out(c.post_lanes * 8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        residual = Signal(c.banks * c.och * 8)
        m.d.comb += self.added.eq(residual)
        with m.If(self.next):
            m.d.sync += residual.eq(residual >> len(self.added))
        load = self.load
        for byte, (before, late) in enumerate(pairwise((0, *activation_skew(c)[: c.unit]))):
            if late > before:
                load = delayed(m, load, f"load_{byte}")
            for pixel in range(c.banks):
                value = self.pixels.word_select(pixel * c.ich + byte, 8)
                for index in range(c.och // c.unit):
                    channel = index * c.unit + byte
                    with m.If(load[index]):
                        m.d.sync += residual.word_select(pixel * c.och + channel, 8).eq(value)
        return m
