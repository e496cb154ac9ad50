import random
from itertools import product

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from rtl_helpers import (
    CONFIGURATIONS,
    compiled,
    layer_tables,
    load_layer,
    place_behind,
    random_conv,
    simulate,
    word_of_pixel,
)

from hiddenite.golden.network import AvgPool, Conv, MaxPool
from hiddenite.rtl.activations.window import Window, issue_latency
from hiddenite.rtl.program.layer_memory import LayerMemory


def words_of_step(c, layer, sample):
    """Words that the lanes of a step read: bank and address, or None outside of the map."""
    bank_y, bank_x, address, rows, cols = sample
    words = {}
    for row, col in product(range(c.rows), range(c.cols)):
        over_y, y = divmod(bank_y + row, c.rows)
        over_x, x = divmod(bank_x + col, c.cols)
        at = address + (over_y * layer.window_y.row_step if c.rows > 1 else 0)
        at += over_x * layer.window_x.row_step if c.cols > 1 else 0
        inside = rows >> row & 1 and cols >> col & 1
        words[row, col] = (y, x, at % (1 << c.address_bits)) if inside else None
    return words


class Bench:
    """Runs one layer's window and compares it, step by step, with the network's description."""

    def __init__(self, c, program, rng):
        self.c, self.rng = c, rng
        self.stage = program.stages[-1]
        self.conv = isinstance(self.stage.layer, Conv)
        self.dut, self.tables = Window(c), LayerMemory(c)
        self.program = program
        self.tiles = self.last_issued = 0
        # What was to be seen in each cycle: stall, no slot for a residual, end of a tile.
        self.seen = [(0, 0, 0)]

    def expected_words(self, oy, ox, ky, kx, group):
        """As `words_of_step`, of output pixels inside the output's map only."""
        stage, c = self.stage, self.c
        height, width, _ = stage.source.layout.shape
        words = {}
        for row, col in product(range(c.rows), range(c.cols)):
            if oy + row >= stage.shape[0] or ox + col >= stage.shape[1]:
                continue
            y = (oy + row) * stage.stride[0] + ky * stage.dilation[0] - stage.padding[0]
            x = (ox + col) * stage.stride[1] + kx * stage.dilation[1] - stage.padding[1]
            inside = 0 <= y < height and 0 <= x < width
            words[row, col] = word_of_pixel(stage.source, y, x, group) if inside else None
        return words

    async def next_step(self, ctx):
        """The next step that is not a bubble, after random stalls."""
        dut = self.dut
        while True:
            ctx.set(dut.stall, self.rng.random() < 0.2)
            ctx.set(dut.slot_free, self.rng.random() < 0.6)
            ctx.set(dut.tile_ready, self.conv and self.rng.random() < 0.3)
            ctx.set(dut.residual_free, self.rng.random() < 0.6)
            stalls, free = ctx.get(dut.stall), ctx.get(dut.slot_free)
            self.last_issued += ctx.get(dut.pixel_tile.issued)
            self.tiles += ctx.get(dut.tile_taken)
            assert free or not ctx.get(dut.pixel_tile.issued)
            waits = not ctx.get(dut.residual_free)
            self.seen.append((stalls, waits, ctx.get(dut.pixel_tile.tile_last)))
            await ctx.tick()
            step = ctx.get(dut.read.step)
            if step.valid or step.residual:
                # With registers behind the tables, the step was issued a cycle before.
                stalls, waits, self.ends = self.seen[-issue_latency(self.c)]
                assert not stalls and not (waits and step.residual)
                places = "bank_y", "bank_x", "address", "rows", "cols"
                return step, tuple(ctx.get(getattr(dut.read, place)) for place in places)

    async def pixel_tile(self, ctx, layer, tile, oy, ox):
        stage, c = self.stage, self.c
        groups = stage.source.layout.groups
        steps = list(
            product(range(stage.kernel[0]), range(stage.kernel[1]), range(groups))
            if self.conv
            else product(*map(range, stage.kernel), [tile * c.unit // c.ich])
        )
        for number, taps in enumerate(steps):
            last = number == len(steps) - 1
            for word in range(c.och // c.unit if last and stage.residual else 0):
                step, sample = await self.next_step(ctx)
                assert (step.residual, step.valid) == (1, 0)
                self.check_residual(layer, sample, tile * c.och + word * c.unit, oy, ox)
                if c.ich > c.och:
                    assert step.part == tile * c.och % c.ich // c.och
            step, sample = await self.next_step(ctx)
            assert (step.valid, step.residual) == (1, 0)
            assert (step.first, step.last) == (number == 0, last)
            words, expected = words_of_step(c, layer, sample), self.expected_words(oy, ox, *taps)
            assert {lane: words[lane] for lane in expected} == expected
            if self.conv:
                base = 0 if layer.large_tiles else self.half * c.tile_words // 2
                assert ctx.get(self.dut.weights.address) == base + 1 + number
            else:
                assert ctx.get(self.dut.weights.address) == 0
            if c.ich > c.unit:
                assert step.part == (0 if self.conv else tile * c.unit % c.ich // c.unit)

    def check_residual(self, layer, sample, channel, oy, ox):
        """A residual is as large as the output, and its tiles are aligned: no lane turns."""
        stage, c = self.stage, self.c
        if channel >= stage.shape[2]:
            return
        words = words_of_step(c, layer, sample)
        for (row, col), word in words.items():
            if oy + row < stage.shape[0] and ox + col < stage.shape[1]:
                place = oy + row, ox + col, channel // c.ich
                assert word == word_of_pixel(stage.residual, *place)

    async def run(self, ctx):
        stage, c = self.stage, self.c
        height, width, channels = stage.shape
        for half in (0, 1):
            # Twice: nothing of a layer may stay for the next.
            await load_layer(ctx, self.tables, *layer_tables(self.program)[-1])
            layer = ctx.get(self.dut.layer)
            ctx.set(self.dut.start, 1)
            await ctx.tick()
            ctx.set(self.dut.start, 0)
            tiles = range(-(-channels // (c.och if self.conv else c.unit)))
            self.tiles = self.last_issued = 0
            for tile in tiles:
                corners = list(product(range(0, height, c.rows), range(0, width, c.cols)))
                for oy, ox in corners:
                    self.half = self.conv * (half * len(tiles) + tile) % 2
                    await self.pixel_tile(ctx, layer, tile, oy, ox)
                    assert self.ends == ((oy, ox) == corners[-1])
            assert self.last_issued == len(tiles) * len(corners)
            assert self.tiles == (len(tiles) if self.conv else 0)
            ctx.set(self.dut.stall, 0)
            ctx.set(self.dut.slot_free, 1)
            for _ in range(5):
                await ctx.tick()
                assert not ctx.get(self.dut.read.step).valid
            ctx.set(self.tables.done, 1)
            await ctx.tick()
            ctx.set(self.tables.done, 0)

    def simulate(self):
        m = Module()
        m.submodules.window, m.submodules.tables = w, t = self.dut, self.tables
        m.d.comb += w.layer.eq(t.layer)
        wiring.connect(m, w.table, t.window)
        simulate(m, self.run)


def run(c, shape, *layers):
    bench = Bench(c, compiled(shape, *layers, c=c), random.Random(str(shape)))
    bench.simulate()


GEOMETRIES = [
    # height, width, kernel, stride, padding
    (5, 7, (3, 3), (1, 1), (1, 1)),
    (6, 5, (2, 3), (2, 1), (0, 2)),
    (9, 8, (4, 2), (3, 2), (3, 1)),
    (7, 11, (1, 5), (4, 4), (0, 3)),
    (4, 3, (4, 3), (1, 1), (0, 0)),
    (1, 6, (1, 1), (1, 3), (0, 0)),
    (3, 4, (3, 4), (1, 2), (2, 3)),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_conv(name, geometry):
    c = CONFIGURATIONS[name]
    height, width, kernel, stride, padding = geometry
    window = {"kernel": kernel, "stride": stride, "padding": padding}
    conv = random_conv(np.random.default_rng(1), c.ich + 1, c.och + 1, **window)
    run(c, (height, width, c.ich + 1), conv)


DILATED = [
    # height, width, kernel, dilation, padding
    (9, 7, (3, 3), (2, 1), (2, 1)),
    (5, 8, (2, 3), (3, 2), (1, 2)),
    (7, 9, (3, 2), (1, 5), (0, 4)),
    (11, 4, (3, 2), (4, 3), (8, 0)),
    (14, 9, (2, 2), (6, 8), (3, 1)),
]


@pytest.mark.parametrize("geometry", DILATED)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_dilated_conv(name, geometry):
    c = CONFIGURATIONS[name]
    height, width, kernel, dilation, padding = geometry
    window = {"kernel": kernel, "dilation": dilation, "padding": padding}
    conv = random_conv(np.random.default_rng(1), c.ich + 1, c.och + 1, **window)
    run(c, (height, width, c.ich + 1), conv)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_pool(name, geometry):
    c = CONFIGURATIONS[name]
    height, width, kernel, stride, padding = geometry
    window = {"kernel": kernel, "stride": stride, "padding": padding}
    pool = AvgPool(name="pool", input="image", scale=1, shift=1, **window)
    run(c, (height, width, c.ich + 1), pool)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_residual_and_places_other_than_0(name, monkeypatch):
    """The source, the residual and other tensors lie behind one another."""
    place_behind(monkeypatch, 5)
    c = CONFIGURATIONS[name]
    channels = max(c.ich, c.och) + 2
    first = MaxPool(name="first", input="image", kernel=2, stride=1)
    second = MaxPool(name="second", input="first", kernel=3, stride=1, padding=1)
    window = {"kernel": (1, 3), "padding": (0, 1)}
    residual = {"input": "second", "residual": "first", "residual_scale": 9}
    conv = random_conv(np.random.default_rng(2), channels, channels, **window, **residual)
    layers = first, second, conv
    last = compiled((6, 6, channels), *layers, c=c).stages[-1]
    assert min(last.source.address, last.residual.address) >= 5
    run(c, (6, 6, channels), *layers)
