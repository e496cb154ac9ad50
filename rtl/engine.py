"""The engine: three streams, and everything between them.

::

    program ─► program reader ─► constructor ─► tile buffer ─┐
                    │   └─► layer memory                     ▼
    image ─► store ─┼─► activation memory ─► maximum ─► PE array
                    │                           │           ▼
                    └─► channel records ────────┴─► post-processor ─► store ─► result
"""

import enum

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .activations.activation_memory import ActivationMemory, activation_banks
from .activations.step_pipeline import StepPipeline
from .activations.window import Window
from .array.pe_array import PEArray
from .configuration import Configuration
from .interfaces import Status, packet_stream
from .masks.constructor import Constructor
from .masks.tile_buffer import TileBuffer, tile_buffer_slices
from .output.post_processor import PostProcessor
from .output.record_memory import channel_records
from .output.residual_queue import queues_residuals, residual_memory
from .output.result_queue import result_memory
from .output.store import Store
from .primitives.delay import delayed
from .primitives.memory import MemoryShape
from .program.layer_memory import LayerMemory, table_memories
from .program.packets import Operation
from .program.program_reader import ProgramReader
from .program.sequencer import Sequencer
from .program.supervisor import Supervisor

__all__ = ["Engine", "State", "memories"]


def memories(c: Configuration) -> list[MemoryShape]:
    """Every memory of an engine."""
    return [
        activation_banks(c),
        tile_buffer_slices(c),
        channel_records(c),
        *table_memories(c),
        *([result_memory(c)] if c.pipelining else []),
        *([residual_memory(c)] if queues_residuals(c) else []),
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
    image : beats of ``post_lanes`` bytes (uint8 or int8 according to the network), of a batch for
        each image, pixels in the order y, x, each beginning with a beat of its own, channels in
        order; ``last`` with the last beat of all
    result : beats of ``post_lanes`` values of 32 bits (uint8, int8 or int32 according to the layer;
        int8 with its sign in all bits above), for each tile of ``och`` channels, for each image,
        for each tile of rows x cols pixels, for each pixel of it, the channels; ``last`` with the
        last beat of all
    status : `Status`
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "program": In(packet_stream(c.program_bits)),
                "image": In(packet_stream(8 * c.post_lanes)),
                "result": Out(packet_stream(32 * c.post_lanes)),
                "status": Out(Status()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        m.submodules.reader = reader = ProgramReader(c)
        m.submodules.tables = tables = LayerMemory(c)
        m.submodules.sequencer = sequencer = Sequencer()
        m.submodules.supervisor = supervisor = Supervisor(c.timeout_cycles)
        m.submodules.constructor = constructor = Constructor(c)
        m.submodules.tile_buffer = tile_buffer = TileBuffer(c)
        m.submodules.window = window = Window(c)
        m.submodules.activations = activations = ActivationMemory(c)
        m.submodules.steps = steps = StepPipeline(c)
        m.submodules.array = array = PEArray(c)
        m.submodules.post = post = PostProcessor(c)
        m.submodules.store = store = Store(c)
        layer, stop = tables.layer, supervisor.stop

        # The program: to the constructor, to the layers' tables, and to the channels' records.
        wiring.connect(m, wiring.flipped(self.program), reader.i)
        wiring.connect(m, reader.construction, constructor.i)
        wiring.connect(m, reader.layers, tables.words)
        wiring.connect(m, reader.records, post.records)
        m.d.comb += [
            reader.stop.eq(stop | ~delayed(m, constructor.prepared, "prepared")),
            reader.layers_end.eq(tables.word_last),
            reader.quiet.eq(sequencer.quiet),
            tables.parts.eq(reader.layer_parts),
            tables.commit.eq(reader.layer_commit),
        ]

        # Layers.
        m.d.comb += [
            sequencer.empty.eq(tables.empty),
            sequencer.loaded.eq(tables.loaded),
            sequencer.done.eq(store.done),
            sequencer.stop.eq(stop),
            sequencer.running.eq(reader.running),
            tables.load.eq(sequencer.load),
            tables.done.eq(store.done),
            window.start.eq(sequencer.start & (layer.operation != Operation.LOAD)),
            store.start.eq(sequencer.start),
            window.layer.eq(layer),
            post.layer.eq(tables.other_layer),
            store.layer.eq(tables.other_layer),
        ]
        wiring.connect(m, window.table, tables.window)
        wiring.connect(m, store.table, tables.store)

        # Masks and activations to the array.
        for write, port in zip(constructor.writes, tile_buffer.writes, strict=True):
            wiring.connect(m, write, port)
        wiring.connect(m, window.weights, tile_buffer.read)
        wiring.connect(m, window.read, activations.read)
        wiring.connect(m, tile_buffer.weights, array.weights)
        maximum = layer.operation == Operation.MAX_POOL
        m.d.comb += [
            window.tile_ready.eq(constructor.tile_ready),
            constructor.tile_taken.eq(window.tile_taken),
            constructor.release.eq(post.released),
            window.slot_free.eq(post.slot_free),
            window.residual_free.eq(post.residual_free),
            window.stall.eq(stop | (store.write_next if c.activation_ports == 1 else 0)),
            activations.row_step_y.eq(layer.window_y.row_step if c.rows > 1 else 0),
            activations.row_step_x.eq(layer.window_x.row_step if c.cols > 1 else 0),
            activations.maximum.eq(maximum),
            # What is outside of the map is no maximum: it is the lowest number.
            activations.int8.eq(layer.source_int8 & ~maximum),
            steps.step.eq(window.read.step),
            steps.maximum.eq(maximum),
            array.pixels.eq(activations.pixels),
            array.valid.eq(steps.valid),
            array.first.eq(steps.first),
            array.last.eq(steps.last),
        ]

        # Sums to outputs, and outputs to where they go.
        wiring.connect(m, array.sums, post.sums)
        wiring.connect(m, window.pixel_tile, post.pixel_tile)
        wiring.connect(m, post.outputs, store.outputs)
        wiring.connect(m, store.write, activations.write)
        wiring.connect(m, wiring.flipped(self.image), store.image)
        wiring.connect(m, store.result, wiring.flipped(self.result))
        m.d.comb += [
            post.load_residual.eq(steps.load_residual),
            post.pixels.eq(activations.pixels),
            store.stop.eq(stop),
        ]

        # Errors.
        m.d.comb += [
            supervisor.program_error.eq(reader.error),
            supervisor.image_error.eq(store.error),
            self.status.state.eq(Mux(stop, State.ERROR, reader.running)),
            self.status.error.eq(supervisor.error),
            self.status.layer.eq(sequencer.number),
        ]
        for port, taken, begun in (
            (supervisor.program, self.program, reader.running),
            (supervisor.image, self.image, store.begun),
        ):
            m.d.comb += [
                port.begun.eq(begun),
                port.ready.eq(taken.ready),
                port.valid.eq(taken.valid),
            ]
        return m
