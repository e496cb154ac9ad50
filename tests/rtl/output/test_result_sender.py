import random

import pytest
from rtl_helpers import CONFIGURATIONS, join, simulate, split

from hiddenite.rtl.output.result_sender import ResultSender
from hiddenite.rtl.output.timing import post_latency


@pytest.mark.parametrize("name", [name for name, c in CONFIGURATIONS.items() if c.pipelining])
def test_beats_that_are_sent_come_in_order(name):
    """A beat is announced, and arrives when it has come from the sum buffer."""
    c, rng = CONFIGURATIONS[name], random.Random(name)
    dut, beats = ResultSender(c), 60
    expected, found, done = [], [], 0

    async def take(ctx):
        nonlocal done
        while not done:
            ctx.set(dut.result.ready, rng.random() < 0.5)
            if ctx.get(dut.result.valid) and ctx.get(dut.result.ready):
                payload = ctx.get(dut.result.payload)
                found.append((split(payload.data, 32, c.post_lanes), payload.last))
            done += ctx.get(dut.done)
            await ctx.tick()

    async def give(ctx):
        begun, on_way = 0, []
        while begun < beats or on_way:
            begins = begun < beats and ctx.get(dut.advance) and rng.random() < 0.8
            begun += begins
            on_way.append(begun if begins else None)
            arrives = on_way.pop(0) if len(on_way) > post_latency(c) else None
            ctx.set(dut.begins, begins)
            ctx.set(dut.arrives, arrives is not None)
            sent, last = rng.random() < 0.8 or arrives == beats, arrives == beats
            ctx.set(dut.sent, arrives is not None and sent)
            values = [rng.randrange(1 << 32) for _ in range(c.post_lanes)]
            beyond = rng.randrange(1 << c.post_lanes)
            ctx.set(dut.values, join(values, 32))
            ctx.set(dut.beyond, beyond)
            ctx.set(dut.last, last)
            if arrives is not None and sent:
                kept = [0 if beyond >> lane & 1 else v for lane, v in enumerate(values)]
                expected.append((kept, last))
            await ctx.tick()
            ctx.set(dut.ended, last)
            if not any(item is not None for item in on_way) and begun == beats:
                break
        ctx.set(dut.begins, 0)
        ctx.set(dut.arrives, 0)
        ctx.set(dut.sent, 0)
        await ctx.tick()
        ctx.set(dut.ended, 0)
        while not done:
            await ctx.tick()

    simulate(dut, take, give)
    assert found == expected
    assert done == 1
