import random

import pytest
from amaranth.sim import Simulator

from hiddenite.link.byte_queue import ByteQueue


@pytest.mark.parametrize(("gives", "takes"), [(1, 1), (0.3, 1), (1, 0.3), (0.5, 0.5)])
def test_bytes_stay_in_order(gives, takes):
    rng = random.Random(f"{gives} {takes}")
    dut, sent = ByteQueue(16), [(rng.randrange(256), rng.randrange(2)) for _ in range(400)]
    taken, cycles = [], [0]

    async def give(ctx):
        for byte, last in sent:
            while rng.random() >= gives:
                await ctx.tick()
            ctx.set(dut.i.payload, {"data": byte, "last": last})
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def take(ctx):
        while len(taken) < len(sent):
            ctx.set(dut.o.ready, rng.random() < takes)
            _, _, payload, valid, ready = await ctx.tick().sample(
                dut.o.payload, dut.o.valid, dut.o.ready
            )
            cycles[0] += 1
            if valid and ready:
                taken.append((payload.data, payload.last))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(give)
    simulator.add_testbench(take)
    simulator.run()
    assert taken == sent
    if gives == takes == 1:
        # The last one two cycles after the one before.
        assert cycles[0] == 2 * len(sent) + 1


def test_depth():
    dut = ByteQueue(16)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        for number in range(40):
            # The byte at the end is in the memory, too.
            assert ctx.get(dut.i.ready) == (number < 16)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
