import random

import pytest
from rtl_helpers import simulate

from hiddenite.rtl.stream_buffer import StreamBuffer


@pytest.mark.parametrize(("offers", "takes"), [(1, 1), (0.5, 1), (1, 0.5), (0.7, 0.7), (0.2, 0.9)])
def test_all_come_out_in_order(offers, takes):
    rng = random.Random(1)
    dut = StreamBuffer(8)
    given = [rng.randrange(256) for _ in range(200)]
    found = []

    async def give(ctx):
        for value in given:
            while rng.random() >= offers:
                await ctx.tick()
            ctx.set(dut.i.payload, value)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def take(ctx):
        cycles = 0
        while len(found) < len(given):
            ctx.set(dut.o.ready, rng.random() < takes)
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
                found.append(ctx.get(dut.o.payload))
            await ctx.tick()
            cycles += 1
        if offers == takes == 1:
            assert cycles == len(given) + 1

    simulate(dut, give, take)
    assert found == given


def test_no_path_goes_through():
    dut = StreamBuffer(8)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        assert not ctx.get(dut.o.valid)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.i.ready)
        ctx.set(dut.o.ready, 1)
        assert not ctx.get(dut.i.ready)
        await ctx.tick()
        assert ctx.get(dut.i.ready)

    simulate(dut, bench)


def test_stop():
    """What it has taken still comes out."""
    dut = StreamBuffer(8)
    found = []

    async def bench(ctx):
        for value in range(10):
            ctx.set(dut.i.payload, value)
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.stop, value >= 1)
            await ctx.tick()
        assert not ctx.get(dut.i.ready)
        ctx.set(dut.o.ready, 1)
        while ctx.get(dut.o.valid):
            found.append(ctx.get(dut.o.payload))
            await ctx.tick()

    simulate(dut, bench)
    assert found == [0, 1]
