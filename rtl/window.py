"""Walk of a layer's window over its input: one step a cycle.

Loop nest::

    for each tile of output channels
      for each tile of rows x cols output pixels       tile_y, tile_x
        for ky, for kx, for each group of ich channels
          one step
        the words of the residual, just before the last step

All addresses are kept by additions: see `hiddenite.rtl.program.Axis` for how a tensor lies in
memory.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .configuration import Configuration
from .program import LayerDescriptor, Operation

__all__ = ["Step", "Window", "next_pixel"]


def next_pixel(axis, phase, bank, address):
    """State of a walk along ``axis`` one pixel on.

    Returns
    -------
    wrap, phase, bank, address : Value
        ``wrap`` is 1 where the walk goes on to the next q (see `hiddenite.rtl.program.Axis`).
    """
    wrap = phase == axis.phases_last
    row = wrap & bank.all() if len(bank) else wrap
    return (
        wrap,
        Mux(wrap, 0, phase + 1),
        Mux(wrap, bank + 1, bank)[: len(bank)] if len(bank) else bank,
        (address + Mux(wrap, axis.plane_wrap, axis.plane_step) + Mux(row, axis.row_step, 0))[
            : len(address)
        ],
    )


class Step(data.StructLayout):
    """What travels down the pipeline with a step.

    Members
    -------
    valid, residual : a step of the array or the pool; a read of a residual word
    first, last : of a pixel tile
    tile_last : the last step of a tile of output channels
    half : half of the channel records that the tile uses
    word : which of the residual's words
    part : which part of the word the output channels are (``och < ich`` only)
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "valid": 1,
                "residual": 1,
                "first": 1,
                "last": 1,
                "tile_last": 1,
                "half": 1,
                "word": ceil_log2(c.och // c.unit),
                "part": ceil_log2(c.ich // c.unit),
            }
        )


class Window(wiring.Component):
    """Issues the steps of a layer.

    Everything with the prefix ``o_`` is registered: it speaks of the step of the cycle before.

    Members
    -------
    layer : descriptor, stable while the layer runs
    start : begins a layer (for one cycle)
    tile_ready : a constructed tile is there; needed for convs only
    tile_taken : the tile's last step is issued
    slot_free : the post-processor will have room when the pixel tile's sum is there
    hold : no step may be issued in this cycle
    last_issued : the last step of a pixel tile is issued
    o_step : `Step`
    o_address, o_bank_y, o_bank_x : word of the first pixel lane, and the bank it is in
    o_rows, o_cols : which pixel lanes are inside the map
    o_weight : address in the tile buffer
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "layer": In(LayerDescriptor(c)),
                "start": In(1),
                "tile_ready": In(1),
                "tile_taken": Out(1),
                "slot_free": In(1),
                "hold": In(1),
                "last_issued": Out(1),
                "o_step": Out(Step(c)),
                "o_address": Out(c.address_bits),
                "o_bank_y": Out(ceil_log2(c.rows)),
                "o_bank_x": Out(ceil_log2(c.cols)),
                "o_rows": Out(c.rows),
                "o_cols": Out(c.cols),
                "o_weight": Out(ceil_log2(c.tile_words)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, layer = self.c, self.layer
        conv = layer.operation == Operation.CONV
        y = _WindowWalk(m, c, layer.window_y, c.rows, "y")
        x = _WindowWalk(m, c, layer.window_x, c.cols, "x")

        tile = Signal(16)
        group = Signal(c.address_bits)
        base, weight = Signal(ceil_log2(c.tile_words)), Signal(ceil_log2(c.tile_words))
        half = Signal()
        first = Signal()
        group_last = Mux(conv, group == layer.groups_last, 1)
        last = group_last & x.tap_last & y.tap_last
        tile_last = x.tile_last & y.tile_last

        words = c.och // c.unit
        split = ceil_log2(c.ich // c.unit)
        residual_y, residual_x = Signal(c.address_bits), Signal(c.address_bits)
        residual_word = Signal(range(words + 1))
        residual_due = layer.residual & (residual_word != words)

        running, step, read = Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(running & ~self.hold & (~last | (self.slot_free & ~residual_due))),
            read.eq(running & ~self.hold & last & self.slot_free & residual_due),
            self.last_issued.eq(step & last),
        ]

        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += tile.eq(0)
                m.next = "TILE"
            with m.State("TILE"):
                y.begin(m)
                x.begin(m)
                m.d.sync += [
                    group.eq(Mux(conv, 0, tile >> split)),
                    weight.eq(base),
                    first.eq(1),
                    residual_y.eq(layer.residual_address),
                    residual_x.eq(0),
                    residual_word.eq(0),
                ]
                with m.If(self.tile_ready | ~conv):
                    m.next = "STEP"
            with m.State("STEP"):
                m.d.comb += running.eq(1)
                with m.If(read):
                    m.d.sync += residual_word.eq(residual_word + 1)
                with m.If(step):
                    m.d.sync += [weight.eq(weight + 1), first.eq(last)]
                    with m.If(~group_last):
                        m.d.sync += group.eq(group + 1)
                    with m.Else():
                        with m.If(conv):
                            m.d.sync += group.eq(0)
                        x.next_tap(m)
                        with m.If(x.tap_last):
                            y.next_tap(m)
                    with m.If(last):
                        m.d.sync += [weight.eq(base), residual_word.eq(0)]
                        x.next_tile(m)
                        m.d.sync += residual_x.eq(residual_x + layer.residual_x)
                        with m.If(x.tile_last):
                            y.next_tile(m)
                            m.d.sync += [
                                residual_x.eq(0),
                                residual_y.eq(residual_y + layer.residual_y),
                            ]
                        with m.If(tile_last):
                            m.d.sync += tile.eq(tile + 1)
                            with m.If(conv):
                                m.d.comb += self.tile_taken.eq(1)
                                m.d.sync += [half.eq(~half), base.eq(base + layer.tile_words)]
                            m.next = "TILE"
                            with m.If(tile == layer.tiles_last):
                                m.next = "IDLE"

        first_word = (tile << ceil_log2(words)) if words > 1 else (tile >> split)
        m.d.sync += [
            self.o_step.valid.eq(step),
            self.o_step.residual.eq(read),
            self.o_step.first.eq(first),
            self.o_step.last.eq(last),
            self.o_step.tile_last.eq(tile_last),
            self.o_step.half.eq(half),
            self.o_step.word.eq(residual_word),
            self.o_step.part.eq(tile),
            self.o_weight.eq(weight),
            self.o_address.eq(y.address + x.address + group),
            self.o_bank_y.eq(y.bank),
            self.o_bank_x.eq(x.bank),
            self.o_rows.eq(y.inside()),
            self.o_cols.eq(x.inside()),
        ]
        with m.If(read):
            m.d.sync += [
                self.o_address.eq(residual_y + residual_x + first_word + residual_word),
                self.o_bank_y.eq(0),
                self.o_bank_x.eq(0),
                self.o_rows.eq(Const(-1, c.rows)),
                self.o_cols.eq(Const(-1, c.cols)),
            ]
        return m


class _WindowWalk:
    """The window's place along one axis: where the tile begins, and where the tap is."""

    def __init__(self, m: Module, c: Configuration, axis, banks: int, name: str):
        n, a = c.coordinate_bits, c.address_bits
        self.axis, self.banks = axis, banks
        self.tile_address, self.tile_position = Signal(a), Signal(n)
        self.tile, self.tap = Signal(n, name=f"tile_{name}"), Signal(n, name=f"tap_{name}")
        self.phase, self.bank = Signal(n), Signal(ceil_log2(banks))
        self.address, self.position = Signal(a), Signal(n)
        self.tap_last, self.tile_last = Signal(), Signal()
        m.d.comb += [
            self.tap_last.eq(self.tap == axis.kernel_last),
            self.tile_last.eq(self.tile == axis.tiles_last),
        ]

    def _go(self, m: Module, address, position):
        m.d.sync += [
            self.tap.eq(0),
            self.phase.eq(self.axis.phase),
            self.bank.eq(self.axis.bank),
            self.address.eq(address),
            self.position.eq(position),
        ]

    def begin(self, m: Module):
        """Go to the first tap of the first tile."""
        self._go(m, self.axis.address, self.axis.position)
        m.d.sync += [
            self.tile.eq(0),
            self.tile_address.eq(self.axis.address),
            self.tile_position.eq(self.axis.position),
        ]

    def next_tap(self, m: Module):
        """Go to the next tap, from the last one back to the first."""
        wrap, phase, bank, address = next_pixel(self.axis, self.phase, self.bank, self.address)
        m.d.sync += [
            self.tap.eq(self.tap + 1),
            self.phase.eq(phase),
            self.bank.eq(bank),
            self.address.eq(address),
            self.position.eq(self.position + wrap),
        ]
        with m.If(self.tap_last):
            self._go(m, self.tile_address, self.tile_position)

    def next_tile(self, m: Module):
        """Go to the first tap of the next tile, from the last one back to the first."""
        with m.If(self.tile_last):
            self.begin(m)
        with m.Else():
            address = (self.tile_address + self.axis.row_step)[: len(self.address)]
            position = (self.tile_position + self.banks)[: len(self.position)]
            self._go(m, address, position)
            m.d.sync += [
                self.tile.eq(self.tile + 1),
                self.tile_address.eq(address),
                self.tile_position.eq(position),
            ]

    def inside(self):
        """Which pixel lanes are inside the map; positions before it count as large ones."""
        limit = (self.axis.limit - (self.phase > self.axis.limit_phase))[: len(self.position)]
        return Cat(
            (self.position + lane)[: len(self.position)] < limit for lane in range(self.banks)
        )
