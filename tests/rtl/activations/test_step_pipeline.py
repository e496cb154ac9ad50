import random

import pytest
from rtl_helpers import CONFIGURATIONS, simulate

from hiddenite.rtl.activations.activation_memory import memory_latency
from hiddenite.rtl.activations.step_pipeline import StepPipeline


@pytest.mark.parametrize("maximum", [0, 1])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_steps_come_late(name, maximum):
    c, rng = CONFIGURATIONS[name], random.Random(name)
    dut, latency = StepPipeline(c), memory_latency(c)
    words = c.och // c.unit
    # Residuals are read as many words at a time as a tile has.
    kinds = {"step": {"valid": 1}, "bubble": {}, "residual": {"residual": 1}}
    given = []
    while len(given) < 200:
        kind = rng.choice(list(kinds))
        step = {"valid": 0, "residual": 0, "first": rng.randrange(2), "last": rng.randrange(2)}
        given += [step | kinds[kind]] * (words if kind == "residual" else 1)

    def late(cycle, by):
        nothing = {"valid": 0, "residual": 0, "first": 0, "last": 0}
        return given[cycle - by] if cycle >= by else nothing

    async def bench(ctx):
        ctx.set(dut.maximum, maximum)
        word = 0
        for cycle, step in enumerate(given):
            ctx.set(dut.step, step)
            now = late(cycle, latency)
            assert ctx.get(dut.valid) == (now["valid"] and (now["last"] or not maximum))
            assert ctx.get(dut.last) == now["last"]
            assert ctx.get(dut.first) == (now["first"] or maximum)
            assert ctx.get(dut.load_residual) == now["residual"] << word
            word = (word + now["residual"]) % words
            await ctx.tick()

    simulate(dut, bench)
