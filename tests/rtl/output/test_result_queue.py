import random

import pytest
from rtl_helpers import simulate

from hiddenite.rtl.output.result_queue import DEPTH, ResultQueue


class Bench:
    """Lets words begin their way, which take some cycles, and takes them."""

    def __init__(self, latency, seed=1):
        self.dut, self.latency = ResultQueue(12), latency
        self.rng = random.Random(seed)
        self.begun, self.found, self.way = [], [], [None] * latency

    async def cycle(self, ctx, chance, ready):
        """One cycle, in which a word begins with a chance if there is room; None is dropped."""
        dut, rng = self.dut, self.rng
        begins = bool(ctx.get(dut.room)) and rng.random() < chance
        word = None
        if begins:
            # Numbered, and some do not count.
            word = len(self.begun), rng.random() < 0.8
            self.begun.append(word)
        self.way.append(word)
        arrived = self.way.pop(0)
        ctx.set(dut.begins, begins)
        ctx.set(dut.arrives, arrived is not None)
        ctx.set(dut.i.valid, arrived is not None and arrived[1])
        ctx.set(dut.i.payload, 0 if arrived is None else arrived[0])
        ctx.set(dut.o.ready, rng.random() < ready)
        if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
            self.found.append(ctx.get(dut.o.payload))
        await ctx.tick()

    @property
    def expected(self):
        return [number for number, counts in self.begun if counts]

    async def end(self, ctx):
        for _ in range(2 * DEPTH + self.latency):
            await self.cycle(ctx, 0, 1)


@pytest.mark.parametrize("latency", [0, 1, 5, 11, 20])
def test_nothing_is_lost_whoever_stalls(latency):
    bench = Bench(latency)

    async def run(ctx):
        for chance, ready in ((1, 0.1), (0.3, 1), (1, 0), (1, 1), (0.7, 0.7)):
            for _ in range(100):
                await bench.cycle(ctx, chance, ready)
            if not ready:
                # What has begun fills it, and no more begins.
                assert not ctx.get(bench.dut.room)
                assert len(bench.expected) - len(bench.found) == DEPTH
                assert not ctx.get(bench.dut.empty)
        await bench.end(ctx)
        assert ctx.get(bench.dut.empty) and ctx.get(bench.dut.room)

    simulate(bench.dut, run)
    assert bench.found == bench.expected
    assert len(bench.found) > 100


@pytest.mark.parametrize("latency", [0, 13])
def test_a_word_a_cycle(latency):
    bench = Bench(latency)

    async def run(ctx):
        for _ in range(200):
            await bench.cycle(ctx, 1, 1)

    simulate(bench.dut, run)
    assert len(bench.begun) == 200
