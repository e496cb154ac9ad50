import random

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from rtl_helpers import CONFIGURATIONS, CONV_SHAPES, join, key_words, simulate

from hiddenite.golden.weights import signs
from hiddenite.golden.weights import xorshift32 as golden_xorshift32
from hiddenite.rtl.masks.sign_generator import SignGenerator, turn_cycles, xorshift32
from hiddenite.rtl.masks.timing import step_period


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


def words_of(row, ich):
    """The words of a row, KW x C."""
    for segment in row:
        for first in range(0, len(segment), ich):
            yield segment[first : first + ich]


async def layer(ctx, dut, shape, seed, index, rng=None):
    """Take all words of a layer and compare their signs; return the cycles."""
    c, cycles = dut.c, 0
    ctx.set(dut.key_word, 1)
    for word in key_words(c, seed, index):
        ctx.set(dut.key, word)
        await ctx.tick()
    ctx.set(dut.key_word, 0)
    ctx.set(dut.start_layer, 1)
    await ctx.tick()
    ctx.set(dut.start_layer, 0)
    negative = signs(seed, index, shape) < 0
    for channel in negative[dut.lane :: c.constructor_lanes]:
        for y, row in enumerate(channel):
            words = list(words_of(row, c.ich))
            for number, word in enumerate(words):
                row_ends = number == len(words) - 1
                ctx.set(dut.last, len(word) - 1)
                ctx.set(dut.row_ends, row_ends)
                ctx.set(dut.channel_ends, row_ends and y == len(channel) - 1)
                # What word it is has to be known a cycle before it ends.
                for _ in range(step_period(c) - 1):
                    cycles += 1
                    await ctx.tick()
                while not ctx.get(dut.valid) or (rng and rng.random() < 0.3):
                    cycles += 1
                    await ctx.tick()
                assert ctx.get(dut.signs) & ((1 << len(word)) - 1) == join(word, 1)
                ctx.set(dut.advance, 1)
                await ctx.tick()
                ctx.set(dut.advance, 0)
                cycles += 1
    return cycles


def run_layer(c, shape, seed):
    """Run one layer on the first lane."""
    dut = SignGenerator(c, 0)

    async def bench(ctx):
        await layer(ctx, dut, shape, seed, 0)

    simulate(dut, bench)


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_signs_of_many_layers(name, pauses):
    c = CONFIGURATIONS[name]
    rng = random.Random(1) if pauses else None
    shapes = [*CONV_SHAPES, (9, 2, 1, 64), (8, 2, 5, 15)]

    async def bench(ctx):
        for number, shape in enumerate(shapes):
            await layer(ctx, dut, shape, 0xFFFFFFF0 + number, 7 * number, rng)

    for lane in {0, c.constructor_lanes - 1}:
        dut = SignGenerator(c, lane)
        simulate(dut, bench)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_key_may_come_at_any_time(name):
    """The next layer's key comes while the next channel is being prepared."""
    c = CONFIGURATIONS[name]

    async def bench(ctx):
        for pause in range(140 // c.ich):
            await layer(ctx, dut, (c.constructor_lanes, 1, 1, 8), pause, 1)
            for _ in range(pause):
                await ctx.tick()

    dut = SignGenerator(c, c.constructor_lanes - 1)
    simulate(dut, bench)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_word_a_cycle_within_a_row(name):
    c = CONFIGURATIONS[name]
    cycles = []

    async def bench(ctx):
        for channels in (8, 9):
            shape = (c.constructor_lanes, 1, 1, channels * 32)
            cycles.append(await layer(ctx, dut, shape, 1, 1))

    dut = SignGenerator(c, 0)
    simulate(dut, bench)
    assert cycles[1] - cycles[0] == turn_cycles(c) * step_period(c)


def test_a_state_of_0_becomes_1():
    """The seed whose scrambled key is 0: the generator would stand still."""
    for c in CONFIGURATIONS.values():
        run_layer(c, (1, 1, 1, 40), key_of_state_0())
    assert (signs(key_of_state_0(), 0, (1, 1, 1, 32)) < 0).sum() == 1


def key_of_state_0():
    """The key whose first scramble and the Weyl constant add to 0."""
    x = -0x9E3779B9 % (1 << 32)
    for shift, left in ((5, True), (17, False), (13, True)):
        y = x
        for _ in range(32):
            y = x ^ ((y << shift if left else y >> shift) & 0xFFFFFFFF)
        x = y
    return x


def test_key_0_is_scrambled_as_any_other():
    for c in CONFIGURATIONS.values():
        run_layer(c, (1, 1, 1, 40), 0)
    assert np.any(signs(0, 0, (1, 1, 1, 32)) < 0)
