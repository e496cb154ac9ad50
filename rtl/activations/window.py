"""Walk of a layer's window over its input: one step a cycle.

Loop nest::

    for each tile of output channels
      for each image
        for each tile of rows x cols output pixels       tile_y, tile_x
          for ky, for kx, for each group of ich channels
            one step
          the words of the residual, just before the last step

Two stages: the loops, which run a step ahead, and the place of the step in hand. From a place to
the next it is one addition, of what the `hiddenite.rtl.program.layer_table.LayerTable` has for the
innermost loop that goes on.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import ActivationRead, PixelTile, WeightRead, WindowTableRead
from ..primitives.delay import delayed
from ..program.layer_table import LayerDescriptor, LayerTable
from ..program.packets import Operation
from .activation_memory import memory_latency
from .window_axis import WindowAxis

__all__ = ["TILE_CYCLES", "Window", "issue_latency", "operand_latency"]


TILE_CYCLES = 1
"""Cycles from a tile of output channels that is there, or the end of the one before, to a step."""


def issue_latency(c: Configuration) -> int:
    """Cycles from the issue of a step until the window gives its addresses."""
    return 1 + (c.pipelining > 1)


def operand_latency(c: Configuration) -> int:
    """Cycles from the issue of a step until its operands are at the array."""
    return issue_latency(c) + memory_latency(c)


class Window(wiring.Component):
    """Issues the steps of a layer.

    Members
    -------
    layer : descriptor, stable while the layer runs
    table : reads rows of the layer's table
    start : begins a layer (for one cycle); ``table`` gives the row ``next``
    tile_ready : a constructed tile is there; needed for convs only
    tile_taken : the tile's last step is issued
    slot_free : a pixel tile's last step may be issued
    residual_free : the words of its residual may be read
    stall : no step may be issued in this cycle
    pixel_tile : `PixelTile`
    read, weights : words of a step, `issue_latency` after its issue
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "layer": In(LayerDescriptor(c)),
                "table": Out(WindowTableRead(c)),
                "start": In(1),
                "tile_ready": In(1),
                "tile_taken": Out(1),
                "slot_free": In(1),
                "residual_free": In(1),
                "stall": In(1),
                "pixel_tile": Out(PixelTile()),
                "read": Out(ActivationRead(c)),
                "weights": Out(WeightRead(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, layer, table, read = self.c, self.layer, self.table, self.read
        rows = LayerTable(c).rows
        conv = layer.operation == Operation.CONV
        advance = Signal()

        # The loops, a step ahead.
        y = WindowAxis(m, layer.window_y, c, c.rows, "y")
        x = WindowAxis(m, layer.window_x, c, c.cols, "x")
        group, tile = Signal(c.group_bits), Signal(c.channel_tile_bits)
        tile_y, tile_x = (Signal(ceil_log2(c.largest_map), name=f"tile_{i}") for i in "yx")
        image = Signal(ceil_log2(c.largest_batch))
        words = c.och // c.unit
        word = Signal(range(words + 1))
        # Known a step before, as much depends on them.
        group_last, tile_x_last, tile_y_last, tile_last = (
            Signal(name=f"{name}_last") for name in ("group", "tile_x", "tile_y", "tile")
        )
        image_last = Signal(init=1)  # Always, where a batch is one image.
        counters = (
            (group, group_last, layer.groups_last),
            (tile_x, tile_x_last, layer.tiles_x_last),
            (tile_y, tile_y_last, layer.tiles_y_last),
            (image, image_last, layer.images_last),
            (tile, tile_last, layer.tiles_last),
        )
        clear_group, clear_x, clear_y, clear_image, clear_tile = (
            [number.eq(0), flag.eq(end == 0)] for number, flag, end in counters
        )
        count_group, count_x, count_y, count_image, count_tile = (
            [number.eq(number + 1), flag.eq((number + 1)[: len(number)] == end)]
            for number, flag, end in counters
        )
        last = group_last & x.last & y.last
        read_residual = last & layer.residual & (word != words)
        map_last = tile_x_last & tile_y_last
        pixels_last = map_last & image_last

        busy, begun = Signal(), Signal()
        with m.If(~busy):
            m.d.comb += table.row.eq(rows["start"])
        with m.Elif(~group_last | read_residual):
            m.d.comb += table.row.eq(rows["next"])
        with m.Elif(~x.last):
            m.d.comb += table.row.eq(x.row(rows))
        with m.Elif(~y.last):
            m.d.comb += table.row.eq(y.row(rows))
        with m.Elif(~tile_x_last):
            m.d.comb += table.row.eq(rows["tile_x"])
        with m.Elif(~tile_y_last):
            m.d.comb += table.row.eq(rows["tile_y"])
        with m.Elif(~image_last):
            m.d.comb += table.row.eq(rows.get("image", 0))
        with m.Else():
            m.d.comb += table.row.eq(rows["map"])
            if c.ich > c.och:
                with m.If(tile[: ceil_log2(c.ich // c.och)].all()):
                    m.d.comb += table.row.eq(rows["map_word"])
        m.d.comb += table.enable.eq(~busy | advance)
        # The row that was read is for the next word, which lies at the same place of the map.
        same_place = Signal()
        with m.If(table.enable):
            m.d.sync += same_place.eq(busy & (~group_last | read_residual))
        with m.If(advance):
            with m.If(read_residual):
                m.d.sync += word.eq(word + 1)
            with m.Else():
                m.d.sync += count_group
                with m.If(group_last):
                    m.d.sync += clear_group
                    x.step(m)
                    with m.If(x.last):
                        y.step(m)
                with m.If(last):
                    m.d.sync += [word.eq(0), count_x]
                    with m.If(tile_x_last):
                        m.d.sync += [clear_x, count_y]
                    with m.If(map_last):
                        m.d.sync += [clear_y, count_image]
                    with m.If(pixels_last):
                        m.d.sync += [clear_image, count_tile]

        # The step in hand.
        step_residual, step_last = Signal(), Signal()
        step_tile_last, layer_last = Signal(), Signal()
        part = Signal.like(read.step.part)
        address, residual = Signal(c.address_bits), Signal(c.address_bits)
        # Along each axis, where the step is in the map, and where behind its end: that one is
        # negative before it.
        position_y, position_x = (Signal(c.position_bits, name=f"position_{i}") for i in "yx")
        behind_y, behind_x = (Signal(c.position_bits, name=f"behind_{i}") for i in "yx")
        bank_y, bank_x = Signal.like(read.bank_y), Signal.like(read.bank_x)
        with m.If(advance):
            m.d.sync += [
                step_residual.eq(read_residual),
                step_last.eq(last & ~read_residual),
                step_tile_last.eq(pixels_last),
                layer_last.eq(tile_last),
            ]

        # Where it is; with registers behind the table, a cycle later.
        def later(value, name):
            if issue_latency(c) == 1:
                return value
            return delayed(m, value, f"{name}_later")

        increment = {
            name: later(getattr(table.increment, name), f"increment_{name}")
            for name in ("y", "x", "address")
        }
        starts, goes_on = later(self.start, "start"), later(advance, "advance")
        moves = later(advance & ~same_place, "moves")
        idle = later(~busy, "idle")
        after_residual, after_last = later(step_residual, "residual"), later(step_last, "last")
        residual_increment = later(table.residual, "residual_increment")
        new_part = later(Mux(conv & ~read_residual, 0, tile)[: len(part)], "part")
        new_bank_y, new_bank_x = later(y.bank, "bank_y"), later(x.bank, "bank_x")
        with m.If(goes_on):
            m.d.sync += [
                part.eq(new_part),
                bank_y.eq(new_bank_y),
                bank_x.eq(new_bank_x),
            ]
            # What was read is for the word, for the tile or for the tap after the step in hand.
            with m.If(~after_residual):
                m.d.sync += address.eq(address + increment["address"])
            with m.If(after_residual | after_last):
                m.d.sync += residual.eq(residual + residual_increment)
        with m.If(moves):
            m.d.sync += [
                position_y.eq(position_y + increment["y"]),
                position_x.eq(position_x + increment["x"]),
            ]
        with m.If(moves | starts):
            m.d.sync += [
                behind_y.eq(behind_y + increment["y"]),
                behind_x.eq(behind_x + increment["x"]),
            ]
        with m.Elif(idle):
            m.d.sync += [behind_y.eq(0), behind_x.eq(0)]
        with m.If(starts):
            m.d.sync += [s.eq(0) for s in (address, residual, position_y, position_x)]

        half = Signal()
        waiting, go = Signal(), Signal()
        free = (self.slot_free | ~step_last) & (self.residual_free | ~step_residual)
        ends = self.pixel_tile.issued & step_tile_last
        m.d.comb += [
            go.eq(busy & ~waiting & ~self.stall & free),
            advance.eq(go | begun),
            self.pixel_tile.issued.eq(go & step_last),
            self.pixel_tile.tile_last.eq(step_tile_last),
            self.tile_taken.eq(ends & conv),
        ]
        weight = Signal(ceil_log2(c.tile_words))
        with m.If(go & conv & ~step_residual):
            m.d.sync += weight.eq(Mux(step_last, 1, weight + 1))
        with m.If(self.tile_ready | ~conv):
            m.d.sync += waiting.eq(0)
        with m.If(ends):
            m.d.sync += [waiting.eq(1), half.eq(half ^ conv)]
            with m.If(layer_last):
                m.d.sync += busy.eq(0)
        m.d.sync += begun.eq(self.start)
        with m.If(self.start):
            # As if after a last step, from 0 on.
            m.d.sync += [busy.eq(1), waiting.eq(1), step_last.eq(1), step_residual.eq(0)]
            # A tile begins with word 1; a pool stays at word 0.
            m.d.sync += weight.eq(conv)
            m.d.sync += [word.eq(0), clear_group, clear_x, clear_y, clear_image, clear_tile]
            x.begin(m)
            y.begin(m)

        weight_address = Cat(weight[:-1], weight[-1] | (half & ~layer.large_tiles))
        of_residual = later(step_residual, "of_residual")
        m.d.sync += [
            read.step.valid.eq(later(go & ~step_residual, "valid")),
            read.step.residual.eq(later(go & step_residual, "residual_step")),
            read.step.last.eq(later(step_last, "step_last")),
            read.step.part.eq(part),
            self.weights.address.eq(later(weight_address, "weight")),
            read.address.eq(address),
            read.bank_y.eq(bank_y),
            read.bank_x.eq(bank_x),
            read.rows.eq(y.inside(position_y, behind_y)),
            read.cols.eq(x.inside(position_x, behind_x)),
        ]
        m.d.comb += self.weights.step.eq(read.step.valid)
        with m.If(read.step.valid):
            m.d.sync += read.step.first.eq(read.step.last)
        with m.If(of_residual):
            m.d.sync += [
                read.address.eq(residual),
                read.bank_y.eq(0),
                read.bank_x.eq(0),
                read.rows.eq(Const(-1, c.rows)),
                read.cols.eq(Const(-1, c.cols)),
            ]
        return m
