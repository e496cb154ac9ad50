import random

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from rtl_helpers import (
    CONFIGURATIONS,
    construction_fields,
    join,
    key_words,
    random_masks,
    simulate,
    weight_words,
)

from hiddenite.golden.rice import RiceCode
from hiddenite.golden.weights import xorshift32 as golden_xorshift32
from hiddenite.rtl.constructor_lane import ConstructorLane, xorshift32


def test_xorshift32():
    x, y = Signal(32), Signal(32)
    m = Module()
    m.d.comb += y.eq(xorshift32(x))

    async def bench(ctx):
        for state in [1, 0x80000000, 0xFFFFFFFF, *random.Random(1).sample(range(1 << 32), 200)]:
            ctx.set(x, state)
            assert ctx.get(y) == golden_xorshift32(state)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


class LaneBench:
    """Constructs layers with one lane, and compares every word that it writes."""

    def __init__(self, c, lane, rng=None):
        self.c, self.lane, self.rng = c, lane, rng
        self.dut = ConstructorLane(c, lane)
        self.words, self.taken, self.written, self.base = [], 0, [], 0

    def encode(self, masks):
        """Make words of the lane's part of the masks; return each layer's code."""
        codes, bits = [], []
        for mask in masks:
            own = mask[self.lane :: self.c.constructor_lanes].reshape(-1)
            code = RiceCode.best([own])
            bits.append(code.encode(own).bits())
            codes.append(code.parameter)
        bits, width = np.concatenate(bits), self.c.program_bits
        bits = np.append(bits, np.zeros(-len(bits) % width, np.uint8))
        self.words = [join(word, 1) for word in bits.reshape(-1, width)]
        return codes

    async def cycle(self, ctx):
        dut = self.dut
        ctx.set(dut.i.valid, self.rng is None or self.rng.random() < 0.7)
        ctx.set(dut.i.payload, self.words[self.taken] if self.taken < len(self.words) else 0)
        if ctx.get(dut.write.enable):
            place = ctx.get(dut.write.slice), ctx.get(dut.write.address)
            self.written.append((*place, ctx.get(dut.write.data)))
        self.taken += ctx.get(dut.i.valid) and ctx.get(dut.i.ready)
        await ctx.tick()

    async def tile(self, ctx, words, shape_words):
        """Construct a tile whose channels have these words; return the cycles it took."""
        c, dut = self.c, self.dut
        ctx.set(dut.channels, len(words))
        ctx.set(dut.start_tile, 1)
        await self.cycle(ctx)
        ctx.set(dut.start_tile, 0)
        ctx.set(dut.base, self.base)
        self.written.clear()
        cycles = 0
        while not (ctx.get(dut.complete) and ctx.get(dut.full)):
            await self.cycle(ctx)
            cycles += 1
        assert self.written == [
            (number, (self.base + at) % c.tile_words, word)
            for number, channel in enumerate(words)
            for at, word in enumerate(channel)
        ]
        self.base = (self.base + shape_words) % c.tile_words
        return cycles

    async def layer(self, ctx, mask, parameter, seed, index):
        """Construct all tiles of a layer; return the cycles they took."""
        c, dut = self.c, self.dut
        ctx.set(dut.i.valid, 0)
        for number, word in enumerate(key_words(c, seed, index)):
            ctx.set(dut.key, 1 << number)
            ctx.set(dut.i.payload, word)
            await ctx.tick()
        ctx.set(dut.key, 0)
        ctx.set(dut.layer, construction_fields(c, mask, parameter))
        ctx.set(dut.start_layer, 1)
        await self.cycle(ctx)
        ctx.set(dut.start_layer, 0)
        words = weight_words(c, mask, seed, index)
        cycles = 0
        for first in range(0, len(mask), c.och):
            own = words[first : first + c.och][self.lane :: c.constructor_lanes]
            cycles += await self.tile(ctx, own, len(words[0]))
        return cycles


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_words_of_many_layers(name, stalls):
    c = CONFIGURATIONS[name]
    lane = c.constructor_lanes - 1
    masks = random_masks(np.random.default_rng(lane), c)
    bench = LaneBench(c, lane, random.Random(4) if stalls else None)
    parameters = bench.encode(masks)

    async def run(ctx):
        for number, (mask, parameter) in enumerate(zip(masks, parameters, strict=True)):
            await bench.layer(ctx, mask, parameter, 0xFFFFFFF0 + number, 7 * number)

    simulate(bench.dut, run)


def test_a_state_of_0_becomes_1():
    """The seed whose scrambled key is 0: the generator would stand still."""
    c = CONFIGURATIONS["single"]
    key = _key_of_state_0()
    mask = np.ones((1, 1, 1, 40), bool)
    bench = LaneBench(c, 0)
    (parameter,) = bench.encode([mask])

    async def run(ctx):
        await bench.layer(ctx, mask, parameter, key, 0)

    simulate(bench.dut, run)
    assert bench.written[0][2] >> c.ich == 1  # bit 0 of a state of 1


def _key_of_state_0():
    """The key whose first scramble and the Weyl constant add to 0."""
    x = -0x9E3779B9 % (1 << 32)
    for shift, left in ((5, True), (17, False), (13, True)):
        y = x
        for _ in range(32):
            y = x ^ ((y << shift if left else y >> shift) & 0xFFFFFFFF)
        x = y
    return x


def test_each_cycle_keeps_a_weight_or_ends_a_word():
    c = CONFIGURATIONS["more_ich"]
    mask = np.random.default_rng(5).random((8, 3, 3, 16)) < 0.3
    bench = LaneBench(c, 0)
    (parameter,) = bench.encode([mask])
    cycles = []

    async def run(ctx):
        cycles.append(await bench.layer(ctx, mask, parameter, 1, 1))

    simulate(bench.dut, run)
    own = mask[0 :: c.constructor_lanes]
    words = own.size // c.ich
    skips = len(RiceCode(parameter).encode(own.reshape(-1)).start) - own.sum()
    starts = len(own) * (5 + own.shape[1])
    filling = 3 * len(own)
    assert cycles[0] <= own.sum() + words + skips + starts + filling
