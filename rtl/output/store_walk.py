"""The store's way through a map along one axis.

A map's pixels come a pixel tile at a time; each has a bank along the axis and, where the layer that
reads the map strides, a phase. With more rows than one, the walk goes back to where the tile begins
after each row of it.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, ValueLike
from amaranth.utils import ceil_log2

from ..activations.window_axis import next_pixel
from ..configuration import Configuration

__all__ = ["StoreWalk"]


class StoreWalk:
    """The place of an output along one axis: pixel tile, and pixel in it; plane and bank.

    Of the image, pixel tiles have one pixel. Where ``several`` is 1, a step is one of ``together``
    pixels, and only each second of them counts where the layer that reads them strides.
    """

    def __init__(
        self,
        m: Module,
        axis,
        tiles_last,
        load,
        c: Configuration,
        banks: int,
        name: str,
        *,
        together: int = 1,
        several: ValueLike = 0,
    ):
        self.axis, self.banks, self.together, self.several = axis, banks, together, several
        self.tile = Signal(ceil_log2(c.largest_map), name=f"tile_{name}")
        self.tiles_last = tiles_last
        self.pixel = Signal(ceil_log2(banks), name=f"pixel_{name}")
        self.phase = Signal(ceil_log2(c.largest_stride), name=f"phase_{name}")
        self.bank = Signal(ceil_log2(banks), name=f"bank_{name}")
        # Where the tile begins: the walk goes back there if it has more rows than one.
        self.kept_phase = Signal.like(self.phase, name=f"kept_phase_{name}")
        self.kept_bank = Signal.like(self.bank, name=f"kept_bank_{name}")
        # Known a tile before, as much depends on it.
        self.tile_last, self.pixel_last = Signal(name=f"tile_last_{name}"), Signal()
        self.inside, self.last, self.first = Signal(), Signal(), Signal()
        within = self.pixel <= axis.end if banks > 1 else 1
        low = ceil_log2(together)
        ends = self.pixel.all() if banks > 1 else 1
        if together > 1:
            ends = Mux(several, self.pixel >> low == banks // together - 1, ends)
        dropped = axis.first_only & (self.phase != 0) if banks > 1 else Const(0)
        m.d.comb += [
            self.pixel_last.eq(load | ends),
            self.inside.eq((load | ~self.tile_last | within) & ~dropped),
            self.last.eq(self.tile_last & (load | (self.pixel == axis.end if banks > 1 else 1))),
            self.first.eq(self.pixel == 0 if banks > 1 else 1),
        ]
        self.next = 0, 0
        if banks == 1:
            return
        self.wrap, self.over, phase, bank = next_pixel(axis.phases_last, self.phase, self.bank)
        if together > 1:
            # Several lie in one plane, in so many banks.
            self.second = axis.phases_last[0]
            further = self.bank + Mux(self.second, together // 2, together)
            self.over = Mux(several, further >= banks, self.over)
            self.wrap = several | self.wrap
            phase = Mux(several, 0, phase)
            bank = Mux(several, further, bank)[: len(self.bank)]
        self.next = phase, bank

    def _go(self, m: Module, phase, bank):
        if self.banks > 1:
            m.d.sync += [self.phase.eq(phase), self.bank.eq(bank)]

    def _keep(self, m: Module, phase, bank):
        if self.banks > 1:
            m.d.sync += [self.kept_phase.eq(phase), self.kept_bank.eq(bank)]

    def begin(self, m: Module):
        """Go to the first pixel."""
        m.d.sync += [self.tile.eq(0), self.tile_last.eq(self.tiles_last == 0), self.pixel.eq(0)]
        self._go(m, 0, 0)
        self._keep(m, 0, 0)

    def step(self, m: Module):
        """Go one pixel on."""
        further = self.pixel + (Mux(self.several, self.together, 1) if self.together > 1 else 1)
        m.d.sync += self.pixel.eq(Mux(self.pixel_last, 0, further))
        self._go(m, *self.next)

    def back(self, m: Module):
        """Go to where the tile begins."""
        self._go(m, self.kept_phase, self.kept_bank)

    def next_tile(self, m: Module):
        """Besides a step: go to the next tile, from the last one back to the first."""
        following = (self.tile + 1)[: len(self.tile)]
        m.d.sync += [self.tile.eq(following), self.tile_last.eq(following == self.tiles_last)]
        self._keep(m, *self.next)
        with m.If(self.tile_last):
            self.begin(m)

    def columns(self):
        """Which banks the pixels of this step lie in that are inside the map."""
        here = [self.bank == bank for bank in range(self.banks)]
        if self.together == 1:
            return Cat(here)
        columns = []
        for stride in (1, 2):
            # So many banks have one of the pixels each.
            count = self.together // stride
            low = ceil_log2(count)
            for bank in range(self.banks):
                pixel = self.pixel + stride * (bank % count)
                inside = ~self.tile_last | (pixel <= self.axis.end)
                columns.append((self.bank >> low == bank >> low) & inside)
        several = Mux(self.second, Cat(columns[self.banks :]), Cat(columns[: self.banks]))
        return Mux(self.several, several, Cat(here))

    def row(self, rows: dict, kind: str):
        """Row of the table for a step."""
        if self.banks == 1:
            return rows[f"{kind}_row"]
        further = rows[f"{kind}_wrap"]
        if f"{kind}_row" in rows:
            further = Mux(self.over, rows[f"{kind}_row"], further)
        return Mux(self.wrap, further, rows[f"{kind}_step"])
