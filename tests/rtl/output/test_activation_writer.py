import random
from itertools import chain

import pytest
from rtl_helpers import CONFIGURATIONS, join, simulate, split

from hiddenite.rtl.output.activation_writer import ActivationWriter, write_latency


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_units_are_written_where_they_belong(name):
    c, rng = CONFIGURATIONS[name], random.Random(name)
    dut, beats = ActivationWriter(c), c.unit // c.post_lanes
    due, written = {}, 0

    async def check(ctx, cycle):
        nonlocal written
        expected = due.pop(cycle, None)
        assert ctx.get(dut.write.enable) == (expected is not None)
        if expected is not None:
            place, address, units = expected
            assert tuple(ctx.get(getattr(dut.write, n)) for n in place) == tuple(place.values())
            assert ctx.get(dut.write.address) == address
            data = split(ctx.get(dut.write.data), 8, c.post_pixels * c.ich)
            # Each word has the unit in all of its parts.
            parts = c.ich // c.unit
            assert data == [byte for unit in units for _ in range(parts) for byte in unit]
            written += 1

    async def bench(ctx):
        cycle = 0

        async def tick(address=0):
            nonlocal cycle
            await ctx.tick()
            cycle += 1
            # It comes a cycle later than the beat.
            ctx.set(dut.address, address)
            await check(ctx, cycle)

        for _ in range(40):
            units = [[] for _ in range(c.post_pixels)]
            for part in range(beats):
                beat = [[rng.randrange(256) for _ in range(c.post_lanes)] for _ in units]
                units = [unit + own for unit, own in zip(units, beat, strict=True)]
                ends = part == beats - 1
                place = {
                    "bank_y": rng.randrange(c.rows),
                    "columns": rng.randrange(1, 1 << c.cols) if c.cols > 1 else 1,
                    "parts": 1 << rng.randrange(c.ich // c.unit),
                }
                ctx.set(dut.taken, 1)
                ctx.set(dut.ends, ends)
                ctx.set(dut.beat, join(chain(*beat), 8))
                ctx.set(dut.part, part)
                for field, value in place.items():
                    ctx.set(getattr(dut, field), value)
                address = rng.randrange(c.activation_words)
                if ends:
                    due[cycle + write_latency(c)] = place, address, units
                await tick(address)
                ctx.set(dut.taken, 0)
                ctx.set(dut.ends, 0)
                for _ in range(rng.choice((0, 0, 2))):
                    await tick()
        for _ in range(write_latency(c)):
            await tick()

    simulate(dut, bench)
    assert (written, due) == (40, {})
