import random
from itertools import pairwise

import pytest
from rtl_helpers import CONFIGURATIONS, simulate

from hiddenite.rtl.output.tile_slots import TileSlots
from hiddenite.rtl.output.timing import capture_latency, output_beats, tile_period

LAYERS = [
    # residual, to the result stream
    (False, False),
    (True, False),
    (False, True),
    (True, True),
]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_sums_are_captured_when_those_before_have_gone(name, layer):
    """Last steps are issued as soon as they may be, their period apart and no more."""
    c, (residual, to_result) = CONFIGURATIONS[name], layer
    rng, dut = random.Random(name), TileSlots(c)
    beats = rng.randrange(1, output_beats(c, conv=True) + 1)
    period = tile_period(c, beats=beats, to_result=to_result, residual=residual)
    issues, captures, left = [], [], 0

    async def bench(ctx):
        nonlocal left
        ctx.set(dut.beats, beats)
        ctx.set(dut.residual, residual)
        ctx.set(dut.to_result, to_result)
        for cycle in range(20 * period):
            captured = cycle in captures
            # The result stream may stall.
            pop = left > 0 and (not to_result or rng.random() < 0.5)
            ctx.set(dut.captured, captured)
            ctx.set(dut.drained, left - pop == 0)
            free = ctx.get(dut.free)
            ctx.set(dut.issued, free)
            if free:
                issues.append(cycle)
                captures.append(cycle + capture_latency(c))
            left -= pop
            if captured:
                assert left == 0
                left = beats
            await ctx.tick()

    simulate(dut, bench)
    periods = [after - before for before, after in pairwise(issues)]
    assert len(periods) >= 5
    if to_result:
        assert min(periods) >= period
    else:
        assert set(periods) == {period}
