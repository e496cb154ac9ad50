import random

import pytest
from rtl_helpers import simulate

from hiddenite.rtl.program.watchdog import Watchdog


@pytest.mark.parametrize("limit", [1, 2, 3, 16, 30])
def test_expires_after_so_many_silent_cycles_in_a_row(limit):
    dut, rng = Watchdog(limit), random.Random(limit)

    async def bench(ctx):
        for length in [limit, limit - 1, *(rng.randrange(limit + 1) for _ in range(20)), limit]:
            for number in range(length + 1):
                ctx.set(dut.silent, number < length)
                await ctx.tick()
                assert ctx.get(dut.expired) == (number + 1 == length == limit)

    simulate(dut, bench)
