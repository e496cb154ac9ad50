import dataclasses
import random
from itertools import chain, product

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from rtl_helpers import (
    CONFIGURATIONS,
    RANGES,
    compiled,
    is_kept,
    join,
    layer_tables,
    load_layer,
    place_behind,
    random_conv,
    simulate,
    split,
    word_of_pixel,
)

from hiddenite.compiler.stage import beat_pixels
from hiddenite.golden.network import MaxPool
from hiddenite.rtl.output.activation_writer import write_latency
from hiddenite.rtl.output.store import Store
from hiddenite.rtl.output.timing import output_beats
from hiddenite.rtl.program.layer_memory import LayerMemory
from hiddenite.rtl.program.packets import ErrorCode, Operation


def beats_in_order(stage, c, values):
    """A stage's outputs as the post-processor gives them, with those outside of the map."""
    conv = stage.operation == Operation.CONV
    height, width, channels = stage.shape
    share = c.och if conv else c.unit
    given = output_beats(c, conv, channels) // c.banks * c.post_lanes
    beats = []
    for first, ty, tx, row, col, part in product(
        range(0, channels, share),
        range(0, height, c.rows),
        range(0, width, c.cols),
        range(c.rows),
        range(c.cols),
        range(0, given, c.post_lanes),
    ):
        y, x = ty + row, tx + col
        lanes = range(first + part, first + part + c.post_lanes)
        inside = y < height and x < width
        beats.append([values[y, x, k] if inside and k < channels else 123 for k in lanes])
    # Several pixels of a row at once, or one; the lanes behind it mean nothing.
    together = min(c.post_pixels, beat_pixels(c, stage.target))
    beats = [[*chain(*beats[at : at + together])] for at in range(0, len(beats), together)]
    if beat_pixels(c, stage.target) > c.post_pixels:
        # Nothing reads each second row.
        beats = beats[::2]
    nothing = [45] * (c.post_pixels - together) * c.post_lanes
    return [beat + nothing for beat in beats]


def with_tables(dut, tables):
    """The store beside its layer memory."""
    m = Module()
    m.submodules.store, m.submodules.tables = dut, tables
    wiring.connect(m, dut.table, tables.store)
    m.d.comb += [
        dut.layer.eq(tables.layer),
        tables.done.eq(dut.done),
    ]
    return m


class Bench:
    """Gives a stage's outputs to the store; keeps what comes out, or a model of the memory."""

    def __init__(self, c, program, number, seed):
        self.c, self.rng = c, random.Random(seed)
        self.program, self.number = program, number
        self.stage = program.stages[number]
        self.dut, self.tables = Store(c), LayerMemory(c)
        self.memory, self.results, self.lasts, self.errors = {}, [], [], []
        self.done, self.writes = 0, []

    async def cycle(self, ctx):
        """One cycle; returns whether an output or a beat of the image was taken."""
        c, dut, rng = self.c, self.dut, self.rng
        ctx.set(dut.result.ready, rng.random() < 0.6)
        next_write = ctx.get(dut.write_next)
        if ctx.get(dut.result.valid) and ctx.get(dut.result.ready):
            payload = ctx.get(dut.result.payload)
            words = split(payload.data, 32, c.post_lanes)
            self.results.append([word - (word >> 31 << 32) for word in words])
            self.lasts.append(payload.last)
        if ctx.get(dut.error) != ErrorCode.NONE:
            self.errors.append(ctx.get(dut.error))
        taken = (
            ctx.get(dut.image.valid) and ctx.get(dut.image.ready),
            ctx.get(dut.outputs.valid) and (c.pipelining or ctx.get(dut.outputs.advance)),
        )
        await ctx.tick()
        # Where the activation memory may be far away, a write comes two cycles later.
        self.writes.append(next_write)
        far = write_latency(c) > 1
        assert ctx.get(dut.write.enable) == ([0, 0, *self.writes][-3] if far else next_write)
        if ctx.get(dut.write.enable):
            columns = split(ctx.get(dut.write.columns), 1, c.cols)
            data = split(ctx.get(dut.write.data), 8, c.post_pixels * c.ich)
            parts = ctx.get(dut.write.parts)
            for column in (number for number, written in enumerate(columns) if written):
                place = ctx.get(dut.write.bank_y), column, ctx.get(dut.write.address)
                word = self.memory.setdefault(place, [None] * c.ich)
                first = column % c.post_pixels * c.ich
                for lane in range(c.ich):
                    if parts >> lane // c.unit & 1:
                        word[lane] = data[first + lane]
        self.done += ctx.get(dut.done)
        return any(taken)

    async def start(self, ctx):
        await load_layer(ctx, self.tables, *layer_tables(self.program)[self.number])
        ctx.set(self.dut.start, 1)
        await self.cycle(ctx)
        ctx.set(self.dut.start, 0)

    async def give(self, ctx, beats):
        """Give outputs, or with LOAD (data, last) of the image, with gaps."""
        dut, c = self.dut, self.c
        load = self.stage.operation == Operation.LOAD
        for beat in beats:
            while True:
                offered = self.rng.random() < 0.7
                if load:
                    data, last = beat
                    ctx.set(dut.image.valid, offered)
                    ctx.set(dut.image.payload, {"data": join(data, 8), "last": last})
                else:
                    if c.pipelining:
                        # Announced as it arrives.
                        offered = offered and ctx.get(dut.outputs.advance)
                        ctx.set(dut.outputs.begins, offered)
                    ctx.set(dut.outputs.valid, offered)
                    ctx.set(dut.outputs.values, join(beat, 32) if offered else 0)
                assert len(beat[0] if load else beat) == c.post_lanes * (
                    1 if load else c.post_pixels
                )
                if await self.cycle(ctx):
                    break
        ctx.set(dut.image.valid, 0)
        ctx.set(dut.outputs.valid, 0)
        ctx.set(dut.outputs.begins, 0)
        # Results wait in a queue.
        for _ in range(60):
            await self.cycle(ctx)

    def check_memory(self, values):
        """Each pixel that is read is where it belongs; nothing behind the tensor is touched."""
        target = self.stage.target
        stored = values + 128 if self.stage.output_type == "int8" else values
        height, width, channels = self.stage.shape
        places = {}
        for y, x, k in product(range(height), range(width), range(channels)):
            place = word_of_pixel(target, y, x, k // self.c.ich)
            if is_kept(target.layout, y, x):
                assert self.memory[place][k % self.c.ich] == stored[y, x, k]
                places[place] = True
            assert 0 <= place[2] - target.address < target.layout.words
        assert self.memory.keys() == places.keys()

    def run(self, values, beats):
        async def bench(ctx):
            for times in (1, 2):
                await self.start(ctx)
                await self.give(ctx, beats)
                assert self.done == times
                assert not ctx.get(self.dut.begun)
                assert not self.errors

        simulate(with_tables(self.dut, self.tables), bench)
        if self.stage.target:
            self.check_memory(values)
            assert not self.results


SHAPES = [(3, 5, 9), (4, 4, 4), (1, 7, 2), (6, 2, 17)]
OUTPUTS = pytest.mark.parametrize(
    ("shape", "kind"), list(zip(SHAPES, ["int8", "uint8", "uint8", "int8"], strict=True))
)


def values_of(rng, shape, kind="uint8"):
    low, high = RANGES[kind]
    return rng.integers(low, high + 1, shape)


@OUTPUTS
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_image(name, shape, kind):
    """The image, for a layer of strides: in planes."""
    c = CONFIGURATIONS[name]
    rng = np.random.default_rng(1)
    after = MaxPool(name="p", input="image", kernel=(1, 2), stride=(2, 3))
    program = compiled(shape, after, c=c, kind=kind)
    values = values_of(rng, shape, kind)
    beats = program.image_beats(values.astype(kind)).tolist()
    beats = [(beat, number == len(beats) - 1) for number, beat in enumerate(beats)]
    Bench(c, program, 0, name).run(values, beats)


@pytest.mark.parametrize("kernel", [1, 2])
@OUTPUTS
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("operation", ["conv", "pool"])
def test_outputs_go_to_memory(name, operation, shape, kind, kernel, monkeypatch):
    """In planes, of which a kernel of one pixel reads but one."""
    place_behind(monkeypatch, 5)
    c = CONFIGURATIONS[name]
    rng = np.random.default_rng(2)
    if operation == "conv":
        first = random_conv(rng, 2, shape[2], output=kind)
        image = (*shape[:2], 2)
    else:
        first = MaxPool(name="conv", input="image", kernel=1)
        image = shape
    kernel = tuple(min(kernel, size) for size in shape[:2])
    after = MaxPool(name="after", input="conv", kernel=kernel, stride=(3, 2))
    program = compiled(image, first, after, c=c, kind=kind)
    bench = Bench(c, program, 1, name)
    assert bench.stage.target.address >= 5
    values = values_of(rng, shape, kind)
    bench.run(values, beats_in_order(bench.stage, c, values))


WIDE = {
    "square": CONFIGURATIONS["square"],
    "wide": CONFIGURATIONS["wide"],
    "row_of_two": dataclasses.replace(CONFIGURATIONS["wide"], rows=2, post_pixels=4),
    "row_of_four": dataclasses.replace(CONFIGURATIONS["square"], rows=4, cols=4, post_pixels=4),
}


@pytest.mark.parametrize("stride", [1, 2, (1, 2), (2, 1)])
@pytest.mark.parametrize("name", WIDE)
def test_several_pixels_at_once(name, stride):
    """Also where the next layer reads each second pixel, or each second row, or both."""
    c, rng, shape = WIDE[name], np.random.default_rng(4), (7, 11, 6)
    first = MaxPool(name="first", input="image", kernel=1)
    after = MaxPool(name="after", input="first", kernel=1, stride=stride)
    bench = Bench(c, compiled(shape, first, after, c=c, kind="int8"), 1, name)
    values = values_of(rng, shape, "int8")
    bench.run(values, beats_in_order(bench.stage, c, values))


@OUTPUTS
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("operation", ["conv", "pool"])
def test_outputs_go_to_the_result_stream(name, operation, shape, kind):
    c = CONFIGURATIONS[name]
    rng = np.random.default_rng(3)
    if operation == "conv":
        kind = "int32"
        program = compiled((*shape[:2], 2), random_conv(rng, 2, shape[2], output=kind), c=c)
    else:
        program = compiled(shape, MaxPool(name="p", input="image", kernel=1), c=c, kind=kind)
    bench = Bench(c, program, 1, name)
    values = values_of(rng, shape, kind)
    bench.run(values, beats_in_order(bench.stage, c, values))
    assert not bench.memory
    half = len(bench.results) // 2
    assert bench.results[:half] == bench.results[half:]
    assert (program.results(np.array(bench.results[half:])) == values).all()
    # The post-processor gave 123 in lanes without a channel.
    assert not np.array(bench.results[:half])[program.result_order() < 0].any()
    assert bench.lasts == ([False] * (half - 1) + [True]) * 2


@pytest.mark.parametrize(
    ("wrong", "code"),
    [(0, ErrorCode.IMAGE_SHORT), (4, ErrorCode.IMAGE_SHORT), (None, ErrorCode.IMAGE_LONG)],
)
def test_last_in_the_wrong_place(wrong, code):
    """``last`` early, or missing at the last beat; ``begun`` is 1 between the first and the end."""
    c = CONFIGURATIONS["more_och"]
    program = compiled((2, 3, 2), MaxPool(name="p", input="image", kernel=1), c=c)
    bench = Bench(c, program, 0, 1)

    async def run(ctx):
        await bench.start(ctx)
        for number in range(6):
            assert ctx.get(bench.dut.begun) == (number > 0)
            await bench.give(ctx, [([1, 2], number == wrong)])
            if number == (5 if wrong is None else wrong):
                break
            assert not bench.errors

    simulate(with_tables(bench.dut, bench.tables), run)
    assert bench.errors == [code]


def test_nothing_moves_after_an_error():
    c = CONFIGURATIONS["single"]
    program = compiled((2, 2, 1), MaxPool(name="p", input="image", kernel=1), c=c)
    dut, tables = Store(c), LayerMemory(c)

    async def run(ctx):
        for layer in layer_tables(program):
            ctx.set(dut.stop, 0)
            await load_layer(ctx, tables, *layer)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.outputs.valid, 1)
            await ctx.tick().repeat(2)
            ctx.set(dut.stop, 1)
            ctx.set(dut.image.valid, 1)
            await ctx.tick()
            assert not ctx.get(dut.image.ready)
            assert not ctx.get(dut.outputs.advance)
            assert not ctx.get(dut.result.valid)

    simulate(with_tables(dut, tables), run)
