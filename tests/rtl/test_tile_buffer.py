import random
from dataclasses import replace

import pytest
from rtl_helpers import CONFIGURATIONS, relative, simulate, split

from hiddenite.rtl.tile_buffer import TileBuffer


@pytest.mark.parametrize("array", ["tree", "flip", "chain"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_word_comes_back(name, array):
    c = replace(CONFIGURATIONS[name], array=array)
    rng = random.Random(1)
    dut = TileBuffer(c)
    lanes = c.constructor_lanes
    content = [[rng.getrandbits(2 * c.ich) for _ in range(c.tile_words)] for _ in range(c.och)]

    async def write(ctx):
        todo = [
            [(part, a) for part in range(c.och // lanes) for a in range(c.tile_words)]
            for _ in range(lanes)
        ]
        for places in todo:
            rng.shuffle(places)
        while any(todo):
            for lane, places in enumerate(todo):
                port = dut.writes[lane]
                enable = bool(places) and rng.random() < 0.8
                ctx.set(port.enable, enable)
                # What stands beside a port that is not enabled must not matter.
                part, address = places.pop() if enable else (0, 0)
                ctx.set(port.slice, part)
                ctx.set(port.address, address)
                word = content[part * lanes + lane][address]
                ctx.set(port.data, word if enable else ~word)
            await ctx.tick()
        for port in dut.writes:
            ctx.set(port.enable, 0)

    async def bench(ctx):
        await write(ctx)
        ctx.set(dut.step, 1)
        asked = []
        for _ in range(3 * c.tile_words):
            if len(asked) >= c.memory_latency:
                words = [words[asked[-c.memory_latency]] for words in content]
                masks, signs = ctx.get(dut.masks), ctx.get(dut.signs)
                assert split(masks, c.ich, c.och) == [w & ((1 << c.ich) - 1) for w in words]
                stored = [split(w >> c.ich, 1, c.ich) for w in words]
                if array == "flip":
                    stored = [relative(bits) for bits in stored]
                assert [split(s, 1, c.ich) for s in split(signs, c.ich, c.och)] == stored
            asked.append(rng.randrange(c.tile_words))
            ctx.set(dut.address, asked[-1])
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("array", ["chain", "combinational"])
def test_nothing_between_steps(array):
    c = replace(CONFIGURATIONS["square"], array=array)
    dut = TileBuffer(c)

    async def bench(ctx):
        ctx.set(dut.writes[0].enable, 1)
        ctx.set(dut.writes[0].data, 1)
        await ctx.tick()
        ctx.set(dut.writes[0].enable, 0)
        # With chains, what is written waits a cycle.
        await ctx.tick()
        for step in (1, 0, 0, 1, 1, 0, 1):
            ctx.set(dut.step, step)
            await ctx.tick()
            ctx.set(dut.step, 0)
            await ctx.tick().repeat(c.memory_latency - 1)
            assert bool(ctx.get(dut.masks)) == step

    simulate(dut, bench)
