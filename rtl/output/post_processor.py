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

from ..activations.window import operand_latency
from ..array.timing import array_latency
from ..configuration import Configuration
from ..interfaces import Outputs, PixelTile, RecordWrite, Sums
from ..primitives.delay import delayed
from ..primitives.memory import MemoryShape, shared_memory
from ..primitives.shared_module import SharedModule
from ..program.packets import ChannelRecord, LayerDescriptor, Operation, words_of
from .post_lane import PostLane
from .sum_buffer import SumBuffer, sum_buffer_latency
from .timing import output_beats, post_latency

__all__ = ["PostProcessor", "channel_records"]


def channel_records(c: Configuration) -> MemoryShape:
    """The channels' records, two tiles of them, a memory for each lane."""
    depth = max(2, 2 * c.och // c.post_lanes)
    width = words_of(ChannelRecord(c), c.program_bits) * c.program_bits
    return MemoryShape("channel records", c.post_lanes, depth, width, 2)


class PostProcessor(wiring.Component):
    """Sum buffer, channel records, residual and lanes.

    Members
    -------
    layer : descriptor, stable while the layer runs
    sums : `Sums`; of a pool, the first ``min(ich, och)`` channels of each pixel count
    pixel_tile : `PixelTile`, of the sums that come next
    pool_next : `pool_period` less a cycle after the last step of a pool's pixel tile
    slot_free : the window may issue it
    load_residual, pixels : bit n: takes word n of the residual of the pixel tile that is captured
        next; its part of the tile's channels comes first
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
                "pool_next": In(1),
                "slot_free": Out(1, init=1),
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
        array_beats, pool_beats = output_beats(c, conv=True), output_beats(c, conv=False)

        m.submodules.sum_buffer = buffer = SumBuffer(c)
        left = Signal(range(array_beats + 1))
        beat = Signal(range(max(2, c.och // lanes)))
        tile_last, half, pending = Signal(), Signal(), Signal()
        capture = self.sums.done[0]  # Other pixels come later, if not at once.

        pop, moves = Signal(), Signal()
        m.d.comb += [
            moves.eq(1 if c.pipelining else self.outputs.advance),
            pop.eq(self.outputs.advance & (left != 0)),
            self.outputs.begins.eq(pop),
            buffer.load_residual.eq(self.load_residual),
            buffer.pixels.eq(self.pixels),
            buffer.conv.eq(conv),
            buffer.residual.eq(layer.residual),
            buffer.next.eq(pop),
        ]
        wiring.connect(m, wiring.flipped(self.sums), buffer.sums)
        # A sum that is on its way needs the sum buffer when it arrives, not before; an output that
        # may have to wait for the result stream makes that time unknown. Known a cycle before, as
        # all that the window does depends on it.
        arrives = 1 + operand_latency(c) + Mux(layer.residual, 0, array_latency(c))
        early = Mux(layer.to_result, 0, arrives)
        beats, still_pending, room = Signal.like(left), Signal(), Signal()
        arrived = Mux(conv | layer.to_result, capture, self.pool_next)
        m.d.comb += [
            beats.eq(Mux(conv, array_beats, pool_beats)),
            still_pending.eq(self.pixel_tile.issued | (pending & ~arrived)),
            room.eq(
                Mux(
                    capture,
                    beats <= early,
                    (left <= early) | (pop & (left == early + 1)),
                )
            ),
        ]
        m.d.sync += [pending.eq(still_pending), self.slot_free.eq(~still_pending & room)]
        with m.If(pop):
            m.d.sync += [left.eq(left - 1), beat.eq(beat + 1)]
            if c.och // lanes == 1:
                m.d.sync += beat.eq(0)
        with m.If(capture):
            m.d.sync += [
                left.eq(beats),
                tile_last.eq(self.pixel_tile.tile_last),
                half.eq(self.pixel_tile.half),
                beat.eq(0),
            ]

        # Channel records: one memory for each lane, two halves in turn. The one that belongs to
        # what the sum buffer gives is read while that gets there.
        read_beat, read_half, last_pop = Signal.like(beat), Signal(), Signal()
        m.d.comb += last_pop.eq(pop & (left == 1) & tile_last & conv)
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
                read_half.eq(Mux(capture, self.pixel_tile.half, half)),
                self.released.eq(last_pop),
            ]
        layout = ChannelRecord(c)
        shape = channel_records(c)
        record_bits = shape.width
        valid = [Signal(name=f"valid_{i}") for i in range(post_latency(c))]
        with m.If(moves):
            m.d.sync += [v.eq(u) for v, u in zip(valid, [pop, *valid], strict=False)]
        records = self.records
        write = [records.words, records.channel, records.half, records.data]
        if c.pipelining:
            # The reader is far away, and a record is needed much later.
            write = [delayed(m, value, f"late_{i}") for i, value in enumerate(write)]
        words_written, channel, write_half, word = write
        for number in range(lanes):
            memory = shared_memory(record_bits, shape.depth, granularity=c.program_bits)
            m.submodules[f"records_{number}"] = memory
            ports = memory.ports
            own = channel[: ceil_log2(lanes)] == number if lanes > 1 else 1
            entry = channel[ceil_log2(lanes) :]
            record = Signal(layout, name=f"record_{number}")
            m.submodules[f"lane_{number}"] = shared = SharedModule(
                "post_lane", PostLane, bits, c.bias_bits, c.shifter, c.pipelining > 0
            )
            lane = shared.ports
            m.d.comb += [
                ports.write.eq(Mux(own, words_written, 0)),
                ports.write_address.eq(Cat(entry, write_half)),
                ports.write_data.eq(word.replicate(record_bits // c.program_bits)),
                ports.read_address.eq(Cat(read_beat[: ceil_log2(c.och // lanes)], read_half)),
                record.eq(ports.read_data),
                lane.advance.eq(moves),
                lane.total.eq(buffer.total.word_select(number, bits)),
                lane.conv.eq(conv),
                lane.bias.eq(record.bias),
                lane.scale.eq(Mux(conv, record.scale, layer.scale[:16].as_signed())),
                lane.residual.eq(buffer.added.word_select(number, 8)),
                lane.residual_scale.eq(layer.scale),
                lane.shift.eq(layer.shift),
                lane.shift_far.eq(layer.far),
                lane.int32.eq(layer.signed),
                self.outputs.values.word_select(number, 32).eq(lane.output),
            ]
        m.d.comb += self.outputs.valid.eq(valid[-1])
        return m
