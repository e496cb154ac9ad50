"""Credits for tiles of weights: who may construct the next one, and who may use it.

::

    start ─► in construction ─ commit ─► constructed ─ taken ─► in use ─ release ─► gone

Each tile has one half of the tile buffer in turn, or all of it.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["MOST_TILES", "TileCredits"]

MOST_TILES = 2
"""Tiles in the buffer: the one in use, and the one in construction, which is the newest."""


class TileCredits(wiring.Component):
    """Counts tiles on their way through the tile buffer.

    Members
    -------
    large : a tile that is started now takes all of the buffer
    start : a tile's construction begins
    room : it may
    commit : the tile that was constructed last is right
    taken : the window has issued the last step of the oldest tile that is right
    ready : there is a tile that is right and not taken
    release : the oldest tile is no longer used
    """

    def __init__(self):
        super().__init__(
            {
                "large": In(1),
                "start": In(1),
                "room": Out(1),
                "commit": In(1),
                "taken": In(1),
                "ready": Out(1),
                "release": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        tiles, newest_large = Signal(range(MOST_TILES + 1)), Signal()
        m.d.comb += self.room.eq((tiles == 0) | ((tiles == 1) & ~self.large & ~newest_large))
        m.d.sync += tiles.eq(tiles + self.start - self.release)
        with m.If(self.start):
            m.d.sync += newest_large.eq(self.large)

        constructed = Signal(range(MOST_TILES + 2))
        m.d.comb += self.ready.eq(constructed != 0)
        m.d.sync += constructed.eq(constructed + self.commit - self.taken)
        return m
