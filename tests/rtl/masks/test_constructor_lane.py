import random
from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import (
    CONFIGURATIONS,
    construction_fields,
    join,
    key_words,
    random_layers,
    simulate,
    weight_words,
)

from hiddenite.golden.rice import RiceCode
from hiddenite.rtl.masks.constructor_lane import ConstructorLane
from hiddenite.rtl.masks.dense_code import DenseCode, chunk_bits


class LaneBench:
    """Constructs layers with one lane, and compares every word that it writes."""

    def __init__(self, c, lane, rng=None):
        self.c, self.lane, self.rng = c, lane, rng
        self.dut = ConstructorLane(c, lane)
        self.words, self.taken, self.written, self.tiles = [], 0, [], 0

    def encode(self, layers):
        """Make words of the lane's part of masks and signs; return each layer's code."""
        codes, bits, width = [], np.zeros(0, np.uint8), self.c.program_bits
        for mask, sign in layers:
            own = mask[self.lane :: self.c.constructor_lanes]
            code = RiceCode.best([own], signed=sign is not None)
            if own.all():
                code = DenseCode(self.c.ich, chunk_bits(self.c), code.signed)
                if self.c.mask_decoder == "serial":
                    # Of a word that is begun, the rest is dropped; there is always one.
                    bits = np.append(bits, np.zeros(width - len(bits) % width, np.uint8))
            if sign is not None:
                sign = sign[self.lane :: self.c.constructor_lanes]
            bits = np.append(bits, code.encode(own, sign).bits())
            codes.append(code)
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
        ctx.set(dut.any_channel, len(words) > 0)
        ctx.set(dut.channels_last, max(0, len(words) - 1))
        ctx.set(dut.start_tile, 1)
        await self.cycle(ctx)
        ctx.set(dut.start_tile, 0)
        half = c.tile_words // 2
        upper = self.tiles % 2 == 1 and shape_words < half
        self.tiles += 1
        ctx.set(dut.upper, upper)
        self.written.clear()
        cycles = 0
        while not (ctx.get(dut.complete) and ctx.get(dut.full)):
            await self.cycle(ctx)
            cycles += 1
        assert self.written == [
            (number, half * upper + 1 + at, word)
            for number, channel in enumerate(words)
            for at, word in enumerate(channel)
        ]
        return cycles

    async def layer(self, ctx, mask, sign, code, seed, index):
        """Construct all tiles of a layer; return the cycles they took."""
        c, dut = self.c, self.dut
        while not ctx.get(dut.prepared):
            await self.cycle(ctx)
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.key_word, 1)
        for word in key_words(c, seed, index):
            ctx.set(dut.key, word)
            await ctx.tick()
        ctx.set(dut.key_word, 0)
        ctx.set(dut.layer, construction_fields(c, mask, code))
        ctx.set(dut.start_layer, 1)
        await self.cycle(ctx)
        ctx.set(dut.start_layer, 0)
        words = weight_words(c, mask, sign, seed, index)
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
    layers = random_layers(np.random.default_rng(lane), c)
    bench = LaneBench(c, lane, random.Random(4) if stalls else None)
    codes = bench.encode(layers)

    async def run(ctx):
        for number, (layer, code) in enumerate(zip(layers, codes, strict=True)):
            await bench.layer(ctx, *layer, code, 0xFFFFFFF0 + number, 7 * number)

    simulate(bench.dut, run)


# A step of its lane takes one cycle.
FAST = replace(CONFIGURATIONS["more_ich"], pipelining=0)


def construct(c, mask):
    """Construct one lane's part of a layer; return the cycles, the lane's masks and their code."""
    bench = LaneBench(c, 0)
    (code,) = bench.encode([(mask, None)])
    cycles = []

    async def run(ctx):
        cycles.append(await bench.layer(ctx, mask, None, code, 1, 1))

    simulate(bench.dut, run)
    return cycles[0], mask[0 :: c.constructor_lanes], code


def pairs_in(mask, segment):
    """Pairs of weights kept in the same word of ``FAST.ich`` weights of a segment."""
    rows = mask.reshape(-1, segment)
    words = [rows[:, at : at + FAST.ich].sum(1) for at in range(0, segment, FAST.ich)]
    return int(np.sum(np.concatenate(words) // 2))


@pytest.mark.parametrize("density, share", [(0.2, 0.6), (0.3, 0.8), (0.5, 0.9)])
def test_each_cycle_takes_the_pieces_of_a_pair(density, share):
    """Full words end beside pieces; channels begin with their signs, of which some is hidden."""
    mask = np.random.default_rng(5).random((8, 3, 3, 48)) < density
    cycles, own, code = construct(FAST, mask)
    pieces = len(code.encode(own.reshape(-1)).start)
    # Pieces of many bits, and of ones alone, stand between the weights of some.
    assert cycles <= pieces - share * pairs_in(own, 48) + 12 * len(own)


def test_each_cycle_takes_a_pair_or_ends_a_word():
    """Words of a layer with a rest."""
    mask = np.random.default_rng(5).random((8, 3, 3, 20)) < 0.3
    cycles, own, code = construct(FAST, mask)
    pieces = len(code.encode(own.reshape(-1)).start)
    words = own.size // 20 * 3
    assert cycles <= pieces - 0.8 * pairs_in(own, 20) + words + 12 * len(own)


@pytest.mark.parametrize("density, rate", [(0.1, 0.42), (0.3, 0.55), (0.5, 1)])
def test_serial_decoder_is_fast_enough(density, rate):
    """Cycles a weight where words are always there."""
    c = replace(CONFIGURATIONS["more_ich"], mask_decoder="serial")
    mask = np.random.default_rng(6).random((8, 3, 3, 48)) < density
    cycles, own, _ = construct(c, mask)
    assert cycles <= rate * own.size + 12 * len(own)
