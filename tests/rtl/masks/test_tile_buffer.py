import random
from dataclasses import replace

import pytest
from rtl_helpers import CONFIGURATIONS, late, relative, simulate, split

from hiddenite.rtl.activations.activation_memory import memory_latency
from hiddenite.rtl.array.timing import channel_delays, weight_skew
from hiddenite.rtl.masks.tile_buffer import TileBuffer

# One with chains whose inputs do not come all at once; one that hands addresses on.
WIDE = replace(CONFIGURATIONS["more_och"], ich=16, och=2)
FAR = replace(CONFIGURATIONS["more_och"], och=32, pipelining=3)


@pytest.mark.parametrize("array", ["tree", "flip", "chain"])
@pytest.mark.parametrize(
    "c", [*CONFIGURATIONS.values(), WIDE, FAR], ids=[*CONFIGURATIONS, "wide", "far"]
)
def test_every_word_comes_back(c, array):
    c = replace(c, array=array)
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
        ctx.set(dut.read.step, 1)
        masks, signs = [], []
        skew = [own + skew for own in channel_delays(c) for skew in weight_skew(c)]
        for _ in range(3 * c.tile_words):
            for port, rows in ((dut.weights.masks, masks), (dut.weights.signs, signs)):
                came = rows[: max(0, len(rows) - memory_latency(c) + 1)]
                if len(came) > max(skew):
                    found = split(ctx.get(port), 1, c.och * c.ich)
                    assert found == late(came, skew)
            address = rng.randrange(c.tile_words)
            words = [split(words[address], 1, 2 * c.ich) for words in content]
            masks.append([bit for word in words for bit in word[: c.ich]])
            stored = [word[c.ich :] for word in words]
            if array == "flip":
                stored = [relative(bits) for bits in stored]
            signs.append([bit for word in stored for bit in word])
            ctx.set(dut.read.address, address)
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
            ctx.set(dut.read.step, step)
            await ctx.tick()
            ctx.set(dut.read.step, 0)
            await ctx.tick().repeat(memory_latency(c) - 1)
            assert bool(ctx.get(dut.weights.masks)) == step

    simulate(dut, bench)
