"""Cycles of a program before anything is simulated.

The program reader and the array's side are two workers that meet at the layer memory, at the tile
buffer and at the channel records; their timelines are followed tile by tile. Streams are taken not
to stall, unless a `ProgramStream` says when they bring something.
"""

from dataclasses import dataclass

from hiddenite.rtl.activations.window import TILE_CYCLES
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.masks.constructor import COMPLETE_LATENCY
from hiddenite.rtl.output.activation_writer import write_latency
from hiddenite.rtl.output.residual_queue import queues_residuals
from hiddenite.rtl.output.result_queue import LATENCY as QUEUE_LATENCY
from hiddenite.rtl.output.store import DONE_LATENCY
from hiddenite.rtl.output.sum_buffer import sum_buffer_latency
from hiddenite.rtl.output.timing import capture_latency, output_beats, post_latency, tile_period
from hiddenite.rtl.program.layer_memory import SLOTS, load_cycles
from hiddenite.rtl.program.packets import (
    OPCODE_WORDS,
    ConstructionDescriptor,
    Operation,
    crc_words,
    words_of,
)
from hiddenite.rtl.program.program_reader import CHECK_LATENCY
from hiddenite.rtl.program.sequencer import START_CYCLES

from .program import Program
from .program_stream import ProgramStream
from .stage import Stage, beat_pixels

__all__ = ["Estimate", "LayerEstimate", "estimate"]


@dataclass(frozen=True, kw_only=True)
class LayerEstimate:
    """Cost of one layer.

    Attributes
    ----------
    name, operation : str
        ``operation`` is load, copy, or what the network's layer is.
    shape : (int, int, int)
        Of the output.
    cycles : int
        From the end of the layer before to its own end, for all images of a batch.
    bound : str
        What the layer waits for most: array, constructor, program, post-processor or image.
    utilisation : float
        Multiply-accumulates of the layer (pruned weights included) over what the PEs could do in
        its cycles; 0 for layers without weights.
    weights : int
    density : float
        Share of weights that is kept.
    mask_bits : int
        Bits of the program that carry its masks.
    """

    name: str
    operation: str
    shape: tuple[int, int, int]
    cycles: int
    bound: str
    utilisation: float
    weights: int = 0
    density: float = 0.0
    mask_bits: int = 0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Cost of one batch.

    Attributes
    ----------
    layers : list of LayerEstimate
    batch : int
        Images of it.
    cycles : int
        From the first word of the program until the engine is idle again.
    utilisation : float
        Multiply-accumulates of all layers over what the PEs could do in these cycles.
    program_bytes : int
    mask_bits_per_weight : float
    """

    layers: list[LayerEstimate]
    batch: int
    cycles: int
    utilisation: float
    program_bytes: int
    mask_bits_per_weight: float


class _ArraySide:
    """Window, post-processor and store: when each tile is issued and when the layer is done."""

    def __init__(self, c: Configuration):
        self.c = c
        self.time = 0
        self.ends: list[int] = []

    def load_table(self, committed: int) -> None:
        """Load the next descriptor; afterwards ``time`` is the first cycle in which it runs."""
        self.time = max(self.time, committed + 1) + load_cycles(self.c) + START_CYCLES

    def load(self, stage: Stage, stream: ProgramStream) -> None:
        height, width, channels = stage.shape
        pixels = stage.images * height * width
        end = self.time + pixels * -(-channels // self.c.post_lanes)
        self._done(max(end, stream.image(self.time)) - 1)

    def begin(self, stage: Stage) -> None:
        """Prepare for the tiles of a layer."""
        c = self.c
        conv = stage.operation is Operation.CONV
        groups = stage.read.layout.groups if conv else 1
        self.steps = stage.kernel[0] * stage.kernel[1] * groups
        self.words = c.och // c.unit if stage.residual is not None else 0
        height, width, _ = stage.shape
        tiles = -(-height // c.rows) * -(-width // c.cols)
        self.pixel_tiles = stage.images * tiles
        self.to_result = stage.target is None
        pixels = beat_pixels(c, stage.target)
        self.beats = output_beats(c, conv, stage.shape[2], pixels=pixels)
        self.groups = c.banks // pixels
        # From a pixel tile's last step until the next one may be issued.
        self.post = tile_period(
            c, beats=self.beats, to_result=self.to_result, residual=self.words > 0
        )
        # Steps that wait for that.
        self.waiting = 1 if queues_residuals(c) else 1 + self.words
        self.one_port = c.activation_ports == 1 and not self.to_result
        self.inside = height * width / (tiles * c.banks)
        self.last = self.time - self.post

    def tile(self, ready: int, channels: int) -> int:
        """Run a tile of output channels that can begin at ``ready``; when it is released."""
        begin = max(self.time, ready) + TILE_CYCLES
        own = self.steps + self.words
        period = self._one_port_period(channels) if self.one_port else max(own, self.period)
        first = max(begin + own - 1, self.last + self.period)
        last = int(first + (self.pixel_tiles - 1) * period)
        self.time, self.last = last + 1, last
        return last + capture_latency(self.c) + self.beats + sum_buffer_latency(self.c)

    @property
    def period(self) -> int:
        """Cycles from a pixel tile's last step to the next one's, as outputs allow."""
        return self.post + self.waiting - 1

    def _one_port_period(self, channels: int) -> float:
        """Cycles from pixel tile to pixel tile when each write takes the place of a read.

        Follows some pixel tiles until their rhythm has settled.
        """
        c = self.c
        per_pixel = self.beats // self.groups
        unit = c.unit // c.post_lanes
        last = -(-min(channels, per_pixel * c.post_lanes) // c.post_lanes)
        ends = [min(beat + unit, last) - 1 for beat in range(0, last, unit)]
        # From a pixel tile's last step to the words that it writes.
        offsets = [
            capture_latency(c) + post_latency(c) + write_latency(c) + pixel * per_pixel + end
            for pixel in range(self.groups)
            for end in ends
        ]
        taken: set[int] = set()
        time, slot, lasts = 0, 0, []
        for _ in range(24):
            for step in range(self.steps + self.words):
                if step == self.steps + self.words - self.waiting:
                    time = max(time, slot)
                while time in taken:
                    time += 1
                time += 1
            lasts.append(time - 1)
            slot = lasts[-1] + self.post
            taken.update(lasts[-1] + offset for offset in offsets)
        settled = (lasts[-1] - lasts[7]) / (len(lasts) - 8)
        # Pixels outside the map write nothing.
        free = max(self.steps + self.words, self.period)
        return free + (settled - free) * self.inside

    def end(self) -> None:
        queue = QUEUE_LATENCY if self.to_result and self.c.pipelining else 0
        latency = capture_latency(self.c) + post_latency(self.c) + queue
        self._done(self.last + latency + self.beats)

    def _done(self, last_output: int) -> None:
        self.time = last_output + DONE_LATENCY + 1
        self.ends.append(self.time)


def estimate(program: Program, stream: ProgramStream | None = None) -> Estimate:
    """Cycles of a program, layer by layer, and what bounds each layer.

    Parameters
    ----------
    program : Program
    stream : ProgramStream, optional
        From where its words and the image come; by default they are always there.
    """
    stream = stream or ProgramStream()
    c = program.configuration
    bits = c.program_bits
    check = crc_words(bits)
    construction = crc_words(bits) + words_of(ConstructionDescriptor(c), bits)

    array = _ArraySide(c)
    reader = stream.take(0, crc_words(bits) + check) + CHECK_LATENCY
    live: list[tuple[int, int]] = []  # release and words of the tiles in the buffer
    per_tile = program.record_words, program.mask_words, program.construction_cycles
    constructions = iter(zip(*per_tile, strict=True))
    layers, before = [], 0
    for number, (stage, table) in enumerate(zip(program.stages, program.table_words, strict=True)):
        conv = stage.operation is Operation.CONV
        reader = stream.take(reader, OPCODE_WORDS + (construction if conv else 0))
        if number >= SLOTS:
            reader = max(reader, array.ends[number - SLOTS])
        reader = stream.take(reader, table + check) + CHECK_LATENCY
        array.load_table(reader - 1)
        waits = dict.fromkeys(("array", "constructor", "program", "post-processor", "image"), 0)
        mask_words = 0
        if stage.operation is Operation.LOAD:
            start = array.time
            array.load(stage, stream)
            waits["image"] = array.time - start
        else:
            array.begin(stage)
            share = c.och if conv else c.unit
            channels = stage.shape[2]
            for first in range(0, channels, share):
                ready = array.time
                if conv:
                    own, words, cycles = next(constructions)
                    mask_words += words
                    size = stage.kernel[0] * stage.kernel[1] * stage.read.layout.groups
                    reader = stream.take(reader, OPCODE_WORDS)
                    while len(live) == 2 or (live and max(size, live[0][1]) >= c.tile_words // 2):
                        reader = max(reader, live.pop(0)[0] + 1)
                    begin = reader
                    reader = stream.take(reader, own)
                    reader = stream.take(reader, words, cycles)
                    of_stream = words + own > 0.9 * (reader - begin)
                    reader = stream.take(reader + COMPLETE_LATENCY, check) + CHECK_LATENCY
                    ready = reader
                    waits["program" if of_stream else "constructor"] += max(0, ready - array.time)
                run = max(array.time, ready)
                release = array.tile(ready, channels - first)
                kind = "array" if array.steps + array.words >= array.period else "post-processor"
                waits[kind] += array.time - run
                if conv:
                    live.append((release, size))
            array.end()
        end = array.time
        layers.append(
            _layer(
                stage, end - before, max(waits, key=lambda kind: waits[kind]), mask_words * bits, c
            )
        )
        before = end

    # The end packet waits until all is done; it ends the program a cycle later.
    reader = stream.take(reader, OPCODE_WORDS + check) + CHECK_LATENCY
    reader = max(reader, array.time) + 1
    weights = sum(layer.weights for layer in layers)
    work = sum(_work(stage) for stage in program.stages)
    return Estimate(
        layers=layers,
        batch=program.batch,
        cycles=reader,
        utilisation=work / (reader * c.processing_elements),
        program_bytes=len(program.words) * bits // 8,
        mask_bits_per_weight=program.mask_bits / weights if weights else 0.0,
    )


def _work(stage: Stage) -> int:
    """Multiply-accumulates of a layer, for all images of the batch."""
    return stage.images * stage.weights * stage.shape[0] * stage.shape[1]


def _layer(stage: Stage, cycles: int, bound: str, mask_bits: int, c: Configuration):
    kept = stage.conv.mask.sum() if stage.weights else 0
    return LayerEstimate(
        name=stage.name,
        operation=stage.kind,
        shape=stage.shape,
        cycles=cycles,
        bound=bound,
        utilisation=_work(stage) / (cycles * c.processing_elements),
        weights=stage.weights,
        density=float(kept / stage.weights) if stage.weights else 0.0,
        mask_bits=mask_bits,
    )
