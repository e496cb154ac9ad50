"""Residual of one pixel tile: it shifts as `hiddenite.rtl.output.sum_buffer` does."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..configuration import Configuration

__all__ = ["ResidualBuffer"]


class ResidualBuffer(wiring.Component):
    """Holds the residual of a pixel tile, and gives ``post_lanes`` bytes at a time.

    Latency from ``next`` to ``added``: none. It is 0 after each layer, since a conv shifts out all
    that it loads.

    Members
    -------
    load, pixels : bit n: takes word n of the residual of the pixel tile that is captured next; its
        part of the tile's channels comes first
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
        with m.If(self.next):
            m.d.sync += residual.eq(residual >> len(self.added))
        for index in range(c.och // c.unit):
            with m.If(self.load[index]):
                for pixel in range(c.banks):
                    size = 8 * c.unit
                    first = 8 * (pixel * c.och + index * c.unit)
                    m.d.sync += residual[first : first + size].eq(
                        self.pixels[8 * pixel * c.ich :][:size]
                    )
        m.d.comb += self.added.eq(residual)
        return m
