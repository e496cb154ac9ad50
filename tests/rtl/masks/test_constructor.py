import random

import numpy as np
import pytest
from rtl_helpers import (
    CONFIGURATIONS,
    construction_fields,
    integers,
    key_words,
    random_layers,
    simulate,
    weight_words,
)

from hiddenite.compiler.mask_stream import MaskStream
from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.masks.constructor import Constructor, layer_latency
from hiddenite.rtl.masks.timing import step_period
from hiddenite.rtl.program.layer_table import LayerTable

SEED = 0x12345678


class Bench:
    """Constructs layers as the program reader does, and keeps a model of the tile buffer."""

    def __init__(self, c, rng, program, dut=None, stalls=True):
        self.c, self.rng, self.stalls, self.cycles = c, rng, stalls, []
        self.dut = dut or Constructor(c)
        self.stream = stream = MaskStream(c)
        self.layers = []
        for index, (mask, sign) in enumerate(program):
            code, tiles = stream.add(mask, sign)
            assert tiles == -(-len(mask) // c.och)
            fields = construction_fields(c, mask, code)
            key = key_words(c, SEED, index)
            self.layers.append((fields, key, weight_words(c, mask, sign, SEED, index)))
        self.mask_words = iter(stream.words())
        self.memory = {}
        self.held, self.tiles, self.record_words = [], 0, []

    async def cycle(self, ctx):
        """One cycle; what the lanes write goes into the model."""
        for lane, port in enumerate(self.dut.writes):
            if ctx.get(port.enable):
                channel = ctx.get(port.slice) * self.c.constructor_lanes + lane
                self.memory[channel, ctx.get(port.address)] = ctx.get(port.data)
        await ctx.tick()

    async def pulse(self, ctx, signal):
        ctx.set(signal, 1)
        await self.cycle(ctx)
        ctx.set(signal, 0)

    async def wait(self, ctx, cycles):
        """Let the program reader read something else."""
        for _ in range(cycles):
            await self.cycle(ctx)

    async def release(self, ctx):
        """Release the oldest tile, whose words must still be there."""
        base, words = self.held.pop(0)
        for channel, own in enumerate(words):
            for at, word in enumerate(own):
                assert self.memory[channel, base + at] == word
        await self.pulse(ctx, self.dut.release)

    def room(self, size):
        sizes = [size, *(len(words[0]) for _, words in self.held)]
        return len(sizes) == 1 or (len(sizes) == 2 and max(sizes) < self.c.tile_words // 2)

    async def feed(self, ctx, words):
        """Give the words that the compiler dealt to a tile: no more and no fewer are taken."""
        dut, taken = self.dut, 0
        self.cycles.append(0)
        while not ctx.get(dut.i.complete):
            self.cycles[-1] += 1
            going = not self.stalls or self.rng.random() < 0.8
            offered = taken < len(words) and going
            ctx.set(dut.i.masks.valid, offered)
            ctx.set(dut.i.masks.payload, words[taken] if taken < len(words) else 0)
            taken += offered and ctx.get(dut.i.masks.ready)
            await self.cycle(ctx)
        ctx.set(dut.i.masks.valid, 0)
        assert taken == len(words)

    async def run(self, ctx):
        """Construct the program, releasing tiles when there is no room, and sometimes before."""
        dut, och = self.dut, self.c.och
        # The program reader clears for as long as it waits.
        ctx.set(dut.i.clear, 1)
        while not ctx.get(dut.prepared):
            await self.cycle(ctx)
        await self.pulse(ctx, dut.i.clear)
        for fields, key, words in self.layers:
            for word in key:
                ctx.set(dut.i.masks.payload, word)
                ctx.set(dut.i.key_word, 1)
                await self.cycle(ctx)
            ctx.set(dut.i.key_word, 0)
            ctx.set(dut.i.layer, fields)
            await self.wait(ctx, layer_latency(self.c))
            await self.pulse(ctx, dut.i.start_layer)
            await self.wait(ctx, 2)
            for first in range(0, len(words), och):
                own = words[first : first + och]
                size = fields["tile_words"]
                while True:
                    assert ctx.get(dut.i.room) == self.room(size)
                    if self.room(size) and (not self.held or self.rng.random() < 0.7):
                        break
                    await self.release(ctx)
                records = self.rng.randrange(1, 3) * len(own)
                self.record_words.append(records)
                await self.wait(ctx, records)
                ctx.set(dut.i.channels_last, len(own) - 1)
                await self.pulse(ctx, dut.i.start_tile)
                half = self.c.tile_words // 2
                self.held.append((1 + half if self.tiles % 2 and size < half else 1, own))
                await self.feed(ctx, integers(next(self.mask_words)))
                self.tiles += 1
                ctx.set(dut.i.half, self.tiles % 2)
                await self.wait(ctx, 5 + max(1, 32 // self.c.program_bits))
        while self.held:
            await self.release(ctx)
        assert next(self.mask_words, None) is None
        for channel in range(min(self.c.ich, och)):
            assert self.memory[channel, 0] == 1 << channel


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_tiles_of_many_layers(name):
    """The tile buffer gets golden masks and signs from the words that the compiler deals."""
    c = CONFIGURATIONS[name]
    bench = Bench(c, random.Random(6), random_layers(np.random.default_rng(len(name)), c))
    simulate(bench.dut, bench.run)


def test_large_tiles_wait_for_room():
    """Tiles of half of the buffer or more are there one at a time."""
    c = CONFIGURATIONS["square"]
    rng = np.random.default_rng(8)
    masks = [(rng.random((9, 3, 3, channels)) < 0.3, None) for channels in (16, 28)]
    bench = Bench(c, random.Random(7), masks)
    assert [fields["tile_words"] for fields, *_ in bench.layers] == [36, 63]
    simulate(bench.dut, bench.run)


def test_clear_forgets_the_program_before():
    """A second program on the same hardware, after the bits that the first one left behind."""
    c = CONFIGURATIONS["more_och"]
    rng = np.random.default_rng(9)
    first = Bench(c, random.Random(1), [(rng.random((5, 1, 1, 3)) < 0.5, None)])
    second = Bench(c, random.Random(2), random_layers(rng, c)[:3], first.dut)

    async def run(ctx):
        await first.run(ctx)
        second.tiles, second.memory = first.tiles, first.memory
        await second.run(ctx)

    simulate(first.dut, run)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_cycles_are_those_that_the_compiler_counts(name, seed):
    """With words always there; long pieces in a row, which are rare, add a few."""
    c = CONFIGURATIONS[name]
    rng = np.random.default_rng(seed)
    bench = Bench(c, random.Random(6), random_layers(rng, c), stalls=False)
    simulate(bench.dut, bench.run)
    expected = bench.stream.cycles(bench.record_words)
    assert len(bench.cycles) == len(expected)
    assert np.abs(np.subtract(bench.cycles, expected)).max() <= 12 * step_period(c)
    assert abs(sum(bench.cycles) - sum(expected)) <= 0.05 * sum(expected)


@pytest.mark.parametrize("name", [*CONFIGURATIONS, *PRESETS])
def test_lanes_have_a_layer_before_it_starts(name):
    c = (CONFIGURATIONS | PRESETS)[name]
    table = LayerTable(c)
    assert layer_latency(c) <= table.always * table.columns
