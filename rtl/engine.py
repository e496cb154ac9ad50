"""The engine: three streams, and everything between them.

::

    program ─► program reader ─► constructor ─► tile buffer ─┐
                    │   └─► layer memory                     ▼
    image ─► store ─┼─► activation memory ─► maximum ─► PE array
                    │                           │           ▼
                    └─► channel records ────────┴─► post-processor ─► store ─► result
"""

import enum
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .activations.activation_memory import ActivationMemory, memory_latency
from .activations.window import Window, issue_latency
from .array.pe_array import PEArray
from .array.timing import activation_skew, weight_skew
from .configuration import Configuration
from .masks.constructor import Constructor
from .masks.tile_buffer import TileBuffer
from .output.post_processor import PostProcessor
from .output.result_queue import DEPTH
from .output.store import Store
from .output.timing import pool_period
from .primitives.delay import delayed
from .program.layer_memory import SLOTS, LayerMemory
from .program.packets import ChannelRecord, ErrorCode, LayerTable, Operation, words_of
from .program.program_reader import ProgramReader
from .program.watchdog import Watchdog

__all__ = ["START_CYCLES", "Engine", "MemoryShape", "State", "memories"]

START_CYCLES = 1
"""Cycles from a layer's descriptor being there to its first cycle."""


@dataclass(frozen=True)
class MemoryShape:
    """One kind of memory in an engine: ``count`` of ``depth`` words of ``width`` bits.

    ``distributed`` ones are read without a clock, which block RAM is not.
    """

    name: str
    count: int
    depth: int
    width: int
    ports: int
    distributed: bool = False


def memories(c: Configuration) -> list[MemoryShape]:
    """Every memory of an engine."""
    records = max(2, 2 * c.och // c.post_lanes)
    record_bits = words_of(ChannelRecord(c), c.program_bits) * c.program_bits
    table = LayerTable(c)
    rows = SLOTS * table.depth
    slices = c.unit if any(activation_skew(c)) else 1
    inputs = weight_skew(c).count(0)
    results = MemoryShape("result queue", 1, DEPTH, 32 * c.post_lanes + 1, 2, distributed=True)
    return [
        MemoryShape(
            "activation bank",
            c.banks * slices,
            c.activation_words,
            8 * c.ich // slices,
            c.activation_ports,
        ),
        MemoryShape("tile buffer slice", c.och * c.ich // inputs, c.tile_words, 2 * inputs, 2),
        MemoryShape("channel records", c.post_lanes, records, record_bits, 2),
        MemoryShape("layer tables", 1, rows, table.columns * c.program_bits, 2),
        MemoryShape("output increments", 1, rows, table.store_bits, 2),
        *([results] if c.pipelining else []),
    ]


class State(enum.IntEnum):
    """Values of ``status.state``."""

    IDLE = 0
    RUNNING = 1
    ERROR = 2


class Engine(wiring.Component):
    """Inference engine for hidden networks.

    A program and an image go in, the last layer's output comes out; then the next program, of any
    network. After an error only a reset helps.

    Members
    -------
    program : words of ``program_bits``; ``last`` with the last one
    image : beats of ``post_lanes`` bytes, pixels in the order y, x, each beginning with a beat of
        its own, channels in order; ``last`` with the last beat
    result : beats of ``post_lanes`` values of 32 bits (uint8 or int32 according to the layer), for
        each tile of ``och`` channels, for each tile of rows x cols pixels, for each pixel of it,
        the channels; ``last`` with the last beat
    status.state : `State`
    status.error : `ErrorCode`
    status.layer : number of the layer that is being run (0: the image is loaded), modulo 256
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "program": In(
                    stream.Signature(data.StructLayout({"data": c.program_bits, "last": 1}))
                ),
                "image": In(
                    stream.Signature(data.StructLayout({"data": 8 * c.post_lanes, "last": 1}))
                ),
                "result": Out(
                    stream.Signature(data.StructLayout({"data": 32 * c.post_lanes, "last": 1}))
                ),
                "status": Out(
                    wiring.Signature(
                        {
                            "state": Out(2),
                            "error": Out(ErrorCode),
                            "layer": Out(16),
                        }
                    )
                ),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        m.submodules.reader = reader = ProgramReader(c)
        m.submodules.constructor = constructor = Constructor(c)
        m.submodules.tile_buffer = tile_buffer = TileBuffer(c)
        m.submodules.window = window = Window(c)
        m.submodules.activations = activations = ActivationMemory(c)
        m.submodules.array = array = PEArray(c)
        m.submodules.post = post = PostProcessor(c)
        m.submodules.store = store = Store(c)

        # Errors: the first one stays. That there is one has a register of its own: much takes it.
        error = Signal(ErrorCode)
        stop = Signal()
        expired = Signal()
        with m.If(~stop):
            with m.If(reader.error != ErrorCode.NONE):
                m.d.sync += [error.eq(reader.error), stop.eq(1)]
            with m.Elif(store.error != ErrorCode.NONE):
                m.d.sync += [error.eq(store.error), stop.eq(1)]
            with m.Elif(expired):
                m.d.sync += [error.eq(ErrorCode.TIMEOUT), stop.eq(1)]
        if c.timeout_cycles:
            m.submodules.silence = silence = Watchdog(c.timeout_cycles)
            streams = (self.program, reader.running), (self.image, store.begun)
            waits = Cat(begun & s.ready & ~s.valid for s, begun in streams)
            brings = Cat(s.ready & s.valid for s, _ in streams)
            # Each stream's own registers are where it is.
            waited, brought = delayed(m, waits, "waited"), delayed(m, brings, "brought")
            m.d.sync += silence.silent.eq(waited.any() & ~brought.any())
            m.d.comb += expired.eq(silence.expired)

        # Program side.
        wiring.connect(m, wiring.flipped(self.program), reader.i)
        wiring.connect(m, reader.masks, constructor.i)
        m.d.comb += [
            reader.stop.eq(stop | ~delayed(m, constructor.prepared, "prepared")),
            constructor.layer.eq(reader.construction),
            constructor.clear.eq(reader.clear),
            constructor.key_word.eq(reader.key_word),
            constructor.start_layer.eq(reader.start_layer),
            constructor.half.eq(reader.record_half),
            constructor.start_tile.eq(reader.start_tile),
            constructor.channels_last.eq(reader.channels_last),
            reader.room.eq(constructor.room),
            reader.complete.eq(constructor.complete),
            post.record_write.eq(reader.record_write),
            post.record_channel.eq(reader.record_channel),
            post.record_half.eq(reader.record_half),
            post.record.eq(reader.record),
        ]
        for write, port in zip(constructor.writes, tile_buffer.writes, strict=True):
            wiring.connect(m, write, port)

        # Layer tables; the array's side waits until one is found right.
        m.submodules.tables = tables = LayerMemory(c)
        layer = tables.layer
        tiles = Signal(range(4))
        number = Signal(8)
        start, quiet = Signal(), Signal()
        m.d.comb += [
            tables.words.payload.eq(reader.layers.payload),
            tables.words.valid.eq(reader.layers.valid),
            reader.layers.ready.eq(tables.words.ready),
            reader.layers_end.eq(tables.word_last),
            tables.commit.eq(reader.layer_commit),
            tables.done.eq(store.done),
            tables.window_read.eq(window.read),
            tables.window_row.eq(window.row),
            window.increment.eq(tables.window),
            window.residual.eq(tables.residual),
            tables.store_row.eq(store.row),
            store.increment.eq(tables.store),
            window.start.eq(start & (layer.operation != Operation.LOAD)),
            store.start.eq(start),
            reader.quiet.eq(quiet),
        ]
        with m.FSM():
            with m.State("LOAD"):
                m.d.comb += [
                    tables.load.eq(~tables.empty & ~stop),
                    quiet.eq(tables.empty),
                ]
                with m.If(~reader.running):
                    m.d.sync += number.eq(0)
                with m.If(tables.loaded):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += start.eq(1)
                m.next = "RUN"
            with m.State("RUN"), m.If(store.done):
                m.d.sync += number.eq(number + 1)
                m.next = "LOAD"
        m.d.sync += tiles.eq(tiles + reader.tile_commit - window.tile_taken)

        # Array side. Of a maximum the array needs only the last step.
        maximum = layer.operation == Operation.MAX_POOL
        m.d.comb += [
            window.layer.eq(layer),
            post.layer.eq(tables.other_layer),
            store.layer.eq(tables.other_layer),
            window.tile_ready.eq(tiles != 0),
            window.slot_free.eq(post.slot_free),
            window.hold.eq(stop | (store.write_next if c.activation_ports == 1 else 0)),
            activations.address.eq(window.o_address),
            activations.bank_y.eq(window.o_bank_y),
            activations.bank_x.eq(window.o_bank_x),
            activations.row_step_y.eq(layer.window_y.row_step if c.rows > 1 else 0),
            activations.row_step_x.eq(layer.window_x.row_step if c.cols > 1 else 0),
            activations.rows.eq(window.o_rows),
            activations.cols.eq(window.o_cols),
            activations.part.eq(window.o_step.part),
            activations.load.eq(window.o_step.valid | window.o_step.residual),
            activations.first.eq(window.o_step.first),
            activations.maximum.eq(maximum),
            tile_buffer.address.eq(window.o_weight),
            tile_buffer.step.eq(window.o_step.valid),
            activations.write.eq(store.write),
            activations.write_bank_y.eq(store.write_bank_y),
            activations.write_bank_x.eq(store.write_bank_x),
            activations.write_address.eq(store.write_address),
            activations.write_data.eq(store.write_data),
            activations.write_parts.eq(store.write_parts),
        ]
        # The step beside the data.
        steps = [window.o_step]
        for stage in range(memory_latency(c)):
            step = Signal.like(window.o_step, name=f"step_{stage}")
            m.d.sync += step.eq(steps[-1])
            steps.append(step)
        step = steps[-1]
        # All of a residual's words are read, one after the other.
        load_residual = Signal.like(post.load_residual)
        word = Signal(ceil_log2(len(load_residual)))
        m.d.sync += load_residual.eq(steps[-2].residual << word)
        with m.If(steps[-2].residual):
            m.d.sync += word.eq(word + 1)
        period = pool_period(c) - 1 - issue_latency(c)
        before = steps[min(period, memory_latency(c))]
        pool_next = before.valid & before.last
        for stage in range(memory_latency(c), period):
            following = Signal(name=f"pool_next_{stage}")
            m.d.sync += following.eq(pool_next)
            pool_next = following
        m.d.comb += [
            array.pixels.eq(activations.pixels),
            array.masks.eq(tile_buffer.masks),
            array.signs.eq(tile_buffer.signs),
            array.valid.eq(step.valid & (step.last | ~maximum)),
            array.first.eq(step.first | maximum),
            array.last.eq(step.last),
            post.capture.eq(array.done),
            post.totals.eq(array.totals),
            post.tile_last.eq(window.o_tile_last),
            post.half.eq(window.o_half),
            post.last_issued.eq(window.last_issued),
            post.pool_next.eq(pool_next),
            post.load_residual.eq(load_residual),
            post.pixels.eq(activations.pixels),
            constructor.release.eq(post.released),
            store.stop.eq(stop),
            store.valid.eq(post.valid),
            store.outputs.eq(post.outputs),
            post.advance.eq(store.advance),
            store.begins.eq(post.begins),
        ]

        # Outside.
        wiring.connect(m, wiring.flipped(self.image), store.image)
        wiring.connect(m, store.result, wiring.flipped(self.result))
        m.d.comb += [
            self.status.state.eq(Mux(stop, State.ERROR, reader.running)),
            self.status.error.eq(error),
            self.status.layer.eq(number),
        ]
        return m
