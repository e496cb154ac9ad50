"""On-chip model construction: lanes that expand masks and generate signs, and who gets which word.

::

    mask words ─► deal in turns ─► lane 0 ─► slices 0, lanes, ...      of the tile buffer
                                   lane 1 ─► slices 1, lanes + 1, ...
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import Construction, TileWrite
from ..primitives.delay import delayed, delayed_copy
from .constructor_lane import ConstructorLane
from .tile_credits import TileCredits
from .timing import begin_latency, step_period

__all__ = ["COMPLETE_LATENCY", "Constructor", "layer_latency"]

COMPLETE_LATENCY = 1
"""Cycles from the last word or step of a tile until ``complete`` has been seen."""


def layer_latency(c: Configuration) -> int:
    """Cycles from a layer's descriptor to all lanes: fewer than the words of the layer table."""
    return c.constructor_lanes.bit_length() if step_period(c) > 1 else 0


class Constructor(wiring.Component):
    """Constructs one tile of output channels after the other.

    Members
    -------
    i : `Construction`; ``layer`` is there `layer_latency` before ``start_layer``
    prepared : the tile buffer has the identity for pools; from some cycles after reset on
    tile_ready, tile_taken, release : see `TileCredits`
    writes : to the tile buffer
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "i": In(Construction(c)),
                "prepared": Out(1),
                "tile_ready": Out(1),
                "tile_taken": In(1),
                "release": In(1),
                "writes": Out(TileWrite(c)).array(c.constructor_lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        count, period = c.constructor_lanes, step_period(c)

        i, masks = self.i, self.i.masks
        large = i.layer.tile_words[-1]
        m.submodules.credits = credits = TileCredits()
        m.d.comb += [
            credits.large.eq(large),
            credits.start.eq(i.start_tile),
            i.room.eq(credits.room),
            credits.commit.eq(i.commit_tile),
            credits.taken.eq(self.tile_taken),
            self.tile_ready.eq(credits.ready),
            credits.release.eq(self.release),
        ]

        commands = [i.clear, i.start_layer, i.start_tile, i.key_word, masks.payload]
        if begin_latency(c):
            # The lanes are far from the reader.
            commands = [delayed(m, value, f"late_{n}") for n, value in enumerate(commands)]
        clear, start_layer, start_tile, key_word, key = commands

        lanes: list[ConstructorLane] = []
        for number in range(count):
            layer = i.layer
            if period > 1:
                # Each lane has it near to all that depends on it, and hands it on to two others.
                if number > 0:
                    layer = lanes[(number - 1) // 2].layer
                layer = delayed_copy(m, layer, f"layer_{number}", number % 2)
            lane = ConstructorLane(c, number)
            m.submodules[f"lane_{number}"] = lane
            lanes.append(lane)
            wiring.connect(m, lane.write, wiring.flipped(self.writes[number]))
            m.d.comb += [
                lane.layer.eq(layer),
                lane.clear.eq(clear),
                lane.key_word.eq(key_word),
                lane.key.eq(key),
                lane.start_layer.eq(start_layer),
                lane.start_tile.eq(start_tile),
                lane.any_channel.eq(i.channels_last >= number if number else 1),
                lane.channels_last.eq((i.channels_last - number) >> ceil_log2(count)),
                lane.upper.eq(i.half & ~large),
                lane.i.payload.eq(masks.payload),
            ]

        turn = Signal(range(count))
        ready, done = Signal(count), Signal(count)
        takes = Cat(masks.valid & (turn == n) & ready[n] for n in range(count))
        empty, ends = Cat(lane.i.ready for lane in lanes), Cat(lane.complete for lane in lanes)
        ends &= Cat(lane.full for lane in lanes)
        if period == 1:
            m.d.comb += [ready.eq(empty), done.eq(ends)]
        else:
            # Known a cycle late, as much depends on it: until a lane takes a word, or the next
            # tile begins, neither changes.
            starts = i.start_tile | start_tile
            m.d.sync += [ready.eq(empty & ~takes), done.eq(Mux(starts, 0, ends))]
        turns_ready = ready.bit_select(turn, 1)
        m.d.comb += [
            i.complete.eq(done.all() & ~i.start_tile),
            self.prepared.eq(lanes[0].prepared),
            masks.ready.eq(turns_ready),
            *(lane.i.valid.eq(take) for lane, take in zip(lanes, takes, strict=True)),
        ]
        with m.If(done.all()):
            m.d.sync += turn.eq(0)
        with m.Elif(Mux(turns_ready, masks.valid, done.bit_select(turn, 1))):
            m.d.sync += turn.eq(turn + 1)
        return m
