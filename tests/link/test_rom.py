import random

import pytest
from rtl_helpers import receive, simulate

from hiddenite.link.rom import ProgramROM


@pytest.mark.parametrize("size", [1, 2, 37])
def test_over_and_over(size):
    data = random.Random(size).randbytes(size)
    dut = ProgramROM(data)

    async def bench(ctx):
        await ctx.tick().repeat(10)
        assert not ctx.get(dut.o.valid)
        ctx.set(dut.own, 1)
        got = await receive(ctx, dut.o, 3 * size, random.Random(3))
        assert bytes(p.data for p in got) == 3 * data
        assert [p.last for p in got] == 3 * ([0] * (size - 1) + [1])

    simulate(dut, bench)
