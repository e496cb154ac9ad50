"""From accumulators to outputs: bias, scale, residual, rounding shift, clip.

::

    totals ─► sum  ─► + bias ─► x scale ─► + ─► >> shift ─► round ─► clip ─► outputs
    pixels ─► buffer ► residual x residual scale
              (post_lanes a cycle)
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import Outputs, PixelTile, RecordWrite, Sums
from ..primitives.delay import delayed
from ..primitives.shared_module import SharedModule
from ..program.layer_table import INT8_ZERO, LayerDescriptor
from ..program.packets import Operation
from .post_lane import PostLane
from .record_memory import RecordMemory
from .residual_buffer import ResidualBuffer
from .residual_queue import ResidualQueue, queues_residuals
from .sum_buffer import SumBuffer, sum_buffer_latency
from .tile_slots import TileSlots
from .timing import capture_latency, output_beats, post_latency
from .wide_beats import has_wide_beats, skips_rows

__all__ = ["PostProcessor"]


class PostProcessor(wiring.Component):
    """Sum buffer, residual, channel records and lanes.

    With ``pipelining``, a layer of one tile of output channels has no beats behind its last one.

    Members
    -------
    layer : descriptor, stable while the layer runs
    sums : `Sums`; of a pool, the first ``min(ich, och)`` channels of each pixel count
    pixel_tile : `PixelTile`; its sums come `capture_latency` later
    slot_free, residual_free : see `Window`
    load_residual, pixels : bit n: takes word n of the next pixel tile's residual; its part of the
        tile's channels comes first
    records : `RecordWrite`
    released : the tile's channel records and weights are no longer needed
    outputs : `Outputs`
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "layer": In(LayerDescriptor(c)),
                "sums": In(Sums(c)),
                "pixel_tile": In(PixelTile()),
                "slot_free": Out(1),
                "residual_free": Out(1),
                "load_residual": In(c.och // c.unit),
                "pixels": In(c.banks * c.ich * 8),
                "records": In(RecordWrite(c)),
                "released": Out(1),
                "outputs": Out(Outputs(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, layer = self.c, self.layer
        lanes, bits = c.post_lanes, c.accumulator_bits
        conv = layer.operation == Operation.CONV
        per_pixel = c.och // lanes

        m.submodules.sum_buffer = buffer = SumBuffer(c)
        left = Signal(range(output_beats(c, conv=True) + 1))
        beat = Signal(ceil_log2(per_pixel))
        tile_last, half, next_half = Signal(), Signal(), Signal()
        capture = self.sums.done[0]  # Other pixels come later, if not at once.

        # What is known of a pixel tile comes with its sums.
        ends = self.pixel_tile.tile_last
        for turn in range(capture_latency(c)):
            ends = delayed(m, ends, f"tile_last_{turn}")
        # Beats of a pixel, - 1, and of a pixel tile.
        pixel_beats = Mux(conv, per_pixel - 1, c.unit // lanes - 1)
        if c.pipelining:
            # Those of one tile of output channels end with the last channel. Known a cycle late.
            pixel_beats = Mux(layer.tiles_last == 0, layer.beats_last, pixel_beats)
            pixel_beats = delayed(m, pixel_beats, "pixel_beats")
        beats = (pixel_beats + 1) << ceil_log2(c.banks)
        wide, skip = Signal(), Signal()
        if c.post_pixels > 1:
            m.d.sync += [wide.eq(has_wide_beats(layer)), skip.eq(skips_rows(c, layer))]
            beats = Mux(wide, beats >> ceil_log2(c.post_pixels), beats)
            beats = Mux(skip, beats >> 1, beats)

        pop, moves, pixel_ends = Signal(), Signal(), Signal()
        m.d.comb += [
            moves.eq(1 if c.pipelining else self.outputs.advance),
            pop.eq(self.outputs.advance & (left != 0)),
            pixel_ends.eq(beat == pixel_beats if c.pipelining else c.post_pixels > 1),
            self.outputs.begins.eq(pop),
            buffer.conv.eq(conv),
            buffer.next.eq(pop),
            buffer.beat.eq(beat),
            buffer.pixel_ends.eq(pixel_ends),
            buffer.wide.eq(wide),
            buffer.skip.eq(skip),
        ]
        wiring.connect(m, wiring.flipped(self.sums), buffer.sums)
        with m.If(pop):
            m.d.sync += [left.eq(left - 1), beat.eq(Mux(pixel_ends, 0, beat + 1))]
        with m.If(capture):
            m.d.sync += [
                left.eq(beats),
                beat.eq(0),
                tile_last.eq(ends & conv),
                half.eq(next_half),
                next_half.eq(next_half ^ (ends & conv)),
            ]

        m.submodules.slots = slots = TileSlots(c)
        m.d.comb += [
            slots.issued.eq(self.pixel_tile.issued),
            slots.beats.eq(beats),
            slots.residual.eq(layer.residual),
            slots.to_result.eq(layer.to_result),
            slots.captured.eq(capture),
            slots.drained.eq((left == 0) | (pop & (left == 1))),
            self.slot_free.eq(slots.free),
            self.residual_free.eq(1 if queues_residuals(c) else slots.free),
        ]

        added = Signal(c.post_pixels * 8 * lanes)
        if queues_residuals(c):
            m.submodules.residuals = queue = ResidualQueue(c)
            m.d.comb += [
                queue.load.eq(self.load_residual.any()),
                queue.pixels.eq(self.pixels),
                queue.residual.eq(layer.residual),
                queue.capture.eq(capture),
                queue.pixel.eq(buffer.pixel),
                queue.beat.eq(beat),
                added.eq(queue.added),
            ]
        else:
            m.submodules.residual = held = ResidualBuffer(c)
            m.d.comb += [
                held.load.eq(self.load_residual),
                held.pixels.eq(self.pixels),
                held.next.eq(pop),
                added.eq(held.added),
            ]

        # Channel records, two halves in turn. The one that belongs to what the sum buffer gives is
        # read while that gets there.
        read_beat, read_half, last_pop = Signal.like(beat), Signal(), Signal()
        m.d.comb += last_pop.eq(pop & (left == 1) & tile_last)
        if c.pipelining:
            # Beat, half and whether it is the tile's last one, of what is on its way to the lanes.
            on_way = [Cat(beat, half, last_pop)]
            for stage in range(sum_buffer_latency(c)):
                on_way.append(Signal(len(beat) + 2, name=f"on_way_{stage}"))
                m.d.sync += on_way[-1].eq(on_way[-2])
            m.d.comb += [
                Cat(read_beat, read_half).eq(on_way[-2]),
                self.released.eq(on_way[-1][-1]),
            ]
        else:
            m.d.comb += [
                read_beat.eq(Mux(capture, 0, beat + pop)),
                read_half.eq(Mux(capture, next_half, half)),
                self.released.eq(last_pop),
            ]
        valid = [Signal(name=f"valid_{i}") for i in range(post_latency(c))]
        with m.If(moves):
            m.d.sync += [v.eq(u) for v, u in zip(valid, [pop, *valid], strict=False)]
        m.submodules.records = records = RecordMemory(c)
        wiring.connect(m, wiring.flipped(self.records), records.write)
        m.d.comb += [records.beat.eq(read_beat), records.half.eq(read_half)]
        pool_bias = Cat(layer.less_taps, layer.source_int8).as_signed() * INT8_ZERO
        for number in range(lanes):
            record = records.records[number]
            # The pixels of a beat have the same channels.
            for place in range(number, c.post_pixels * lanes, lanes):
                m.submodules[f"lane_{place}"] = shared = SharedModule(
                    "post_lane", PostLane, bits, c.bias_bits, c.shifter, c.pipelining > 0
                )
                lane = shared.ports
                m.d.comb += [
                    lane.advance.eq(moves),
                    lane.total.eq(buffer.total.word_select(place, bits)),
                    lane.bias.eq(Mux(conv, record.bias, pool_bias)),
                    lane.scale.eq(Mux(conv, record.scale, layer.scale[:16].as_signed())),
                    lane.residual.eq(added.word_select(place, 8)),
                    lane.residual_int8.eq(layer.residual_int8),
                    lane.residual_scale.eq(layer.scale),
                    lane.shift.eq(layer.shift),
                    lane.shift_far.eq(layer.far),
                    lane.int8.eq(layer.int8),
                    lane.int32.eq(layer.int32),
                    self.outputs.values.word_select(place, 32).eq(lane.output),
                ]
        m.d.comb += self.outputs.valid.eq(valid[-1])
        return m
