"""On-chip model construction: lanes that expand masks and generate signs, and who gets which word.

::

    mask words ─► deal in turns ─► lane 0 ─► slices 0, lanes, ...      of the tile buffer
                                   lane 1 ─► slices 1, lanes + 1, ...
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..primitives.delay import delayed
from ..program.packets import ConstructionDescriptor
from .constructor_lane import ConstructorLane
from .tile_buffer import TileWrite
from .timing import step_period

__all__ = ["COMPLETE_LATENCY", "Constructor"]

COMPLETE_LATENCY = 1
"""Cycles from the last word or step of a tile until ``complete`` has been seen."""


class Constructor(wiring.Component):
    """Constructs one tile of output channels after the other.

    Members
    -------
    layer : descriptor, stable while its tiles are constructed
    prepared : the tile buffer has the identity for pools; from some cycles after reset on
    clear : before a program
    key_word : the word in ``i.payload`` is the next word of the layer's key (see `SignGenerator`)
    start_layer : a new layer's descriptor and key are there (for one cycle)
    start_tile : begins a tile (for one cycle); there must be ``room``
    half : which half of the tile buffer a tile has unless it takes more; 0 first, then in turn
    channels_last : output channels of the tile - 1
    room : the tile buffer has room for a tile of this layer
    release : the oldest tile is no longer used
    i : mask words of the tile
    complete : the tile is constructed and no lane needs another word
    writes : to the tile buffer
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "layer": In(ConstructionDescriptor(c)),
                "prepared": Out(1),
                "clear": In(1),
                "key_word": In(1),
                "start_layer": In(1),
                "start_tile": In(1),
                "half": In(1),
                "channels_last": In(ceil_log2(c.och)),
                "room": Out(1),
                "release": In(1),
                "i": In(stream.Signature(c.program_bits)),
                "complete": Out(1),
                "writes": Out(TileWrite(c)).array(c.constructor_lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        count, period = c.constructor_lanes, step_period(c)

        # Two tiles at most: the one in use and the one in construction, which is the newest.
        # Each has one half of the tile buffer in turn, or all of it.
        tiles = Signal(range(3))
        large, newest_large = self.layer.tile_words[-1], Signal()
        m.d.comb += self.room.eq((tiles == 0) | ((tiles == 1) & ~large & ~newest_large))
        m.d.sync += tiles.eq(tiles + self.start_tile - self.release)
        with m.If(self.start_tile):
            m.d.sync += newest_large.eq(large)

        commands = [self.clear, self.start_layer, self.key_word, self.i.payload]
        if period > 1:
            # The lanes are far from the reader; a tile begins much later.
            commands = [delayed(m, value, f"late_{i}") for i, value in enumerate(commands)]
        clear, start_layer, key_word, key = commands

        lanes = []
        for number in range(count):
            lane = ConstructorLane(c, number)
            m.submodules[f"lane_{number}"] = lane
            lanes.append(lane)
            wiring.connect(m, lane.write, wiring.flipped(self.writes[number]))
            m.d.comb += [
                lane.layer.eq(self.layer),
                lane.clear.eq(clear),
                lane.key_word.eq(key_word),
                lane.key.eq(key),
                lane.start_layer.eq(start_layer),
                lane.start_tile.eq(self.start_tile),
                lane.any_channel.eq(self.channels_last >= number if number else 1),
                lane.channels_last.eq((self.channels_last - number) >> ceil_log2(count)),
                lane.upper.eq(self.half & ~large),
                lane.i.payload.eq(self.i.payload),
            ]

        turn = Signal(range(count))
        ready, done = Signal(count), Signal(count)
        takes = Cat(self.i.valid & (turn == n) & ready[n] for n in range(count))
        empty, ends = Cat(lane.i.ready for lane in lanes), Cat(lane.complete for lane in lanes)
        ends &= Cat(lane.full for lane in lanes)
        if period == 1:
            m.d.comb += [ready.eq(empty), done.eq(ends)]
        else:
            # Known a cycle late, as much depends on it: until a lane takes a word, or the next
            # tile begins, neither changes.
            m.d.sync += [ready.eq(empty & ~takes), done.eq(Mux(self.start_tile, 0, ends))]
        turns_ready = ready.bit_select(turn, 1)
        m.d.comb += [
            self.complete.eq(done.all() & ~self.start_tile),
            self.prepared.eq(lanes[0].prepared),
            self.i.ready.eq(turns_ready),
            *(lane.i.valid.eq(take) for lane, take in zip(lanes, takes, strict=True)),
        ]
        with m.If(self.start_tile):
            m.d.sync += turn.eq(0)
        with m.Elif(Mux(turns_ready, self.i.valid, done.bit_select(turn, 1))):
            m.d.sync += turn.eq(turn + 1)
        return m
