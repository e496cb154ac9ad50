import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, join, simulate, split

from hiddenite.rtl.pe_array import DotProduct, PEArray


def operands(rng, ich):
    """Activations, masks and signs (1: negative); the extremes occur."""
    pixel = rng.choice([0, 255, rng.integers(256)], ich)
    density = rng.choice([0, 0.5, 1])
    return pixel, rng.random(ich) < density, rng.random(ich) < rng.choice([0, 0.5, 1])


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("ich", [1, 2, 8, 32])
def test_dot_product_is_the_signed_sum_with_255_too_much_a_negative(ich, registered):
    rng = np.random.default_rng(ich)
    dut = DotProduct(ich, 20, registered)
    latency = ich.bit_length() - 1 if registered else 0
    steps = [operands(rng, ich) for _ in range(60)]
    first = [bool(rng.random() < 0.2) for _ in steps]
    first[0] = True
    add = [bool(rng.random() < 0.7) or f for f in first]

    async def bench(ctx):
        true_sum = negatives = 0
        for cycle in range(len(steps) + latency):
            if cycle < len(steps):
                pixel, mask, sign = steps[cycle]
                ctx.set(dut.pixel, join(pixel, 8))
                ctx.set(dut.mask, join(mask, 1))
                ctx.set(dut.sign, join(sign, 1))
            if cycle >= latency:
                pixel, mask, sign = steps[cycle - latency]
                now = int((mask * np.where(sign, -1, 1) * pixel.astype(int)).sum())
                kept = int((mask & sign).sum())
                begins = first[cycle - latency]
                ctx.set(dut.first, begins)
                ctx.set(dut.add, add[cycle - latency])
                if begins:
                    true_sum = negatives = 0
                assert ctx.get(dut.total) == true_sum + now + 255 * (negatives + kept)
                if add[cycle - latency]:
                    true_sum, negatives = true_sum + now, negatives + kept
            await ctx.tick()

    simulate(dut, bench)


def test_accumulator_takes_all_that_its_bits_allow():
    bits = 12
    dut = DotProduct(1, bits, False)

    async def bench(ctx):
        ctx.set(dut.pixel, 0)
        ctx.set(dut.mask, 1)
        ctx.set(dut.sign, 1)
        ctx.set(dut.add, 1)
        for count in range(((1 << bits) - 1) // 255):
            ctx.set(dut.first, count == 0)
            assert ctx.get(dut.total) == 255 * (count + 1)
            await ctx.tick()

    simulate(dut, bench)


def array_total(c, steps):
    """Totals of a pixel tile, from its steps' pixels, masks and signs."""
    total = np.zeros((c.banks, c.och), int)
    for pixels, masks, signs in steps:
        turned = np.where(signs, 255 - pixels[:, None], pixels[:, None])
        total += (masks * turned).sum(-1)
    return total.reshape(-1)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_array_sums_each_pixel_tile(name):
    c = CONFIGURATIONS[name]
    rng = np.random.default_rng(2)
    dut = PEArray(c)
    tiles = []
    for _ in range(12):
        count = int(rng.integers(1, 6))
        pixels = rng.integers(0, 256, (count, c.banks, c.ich))
        masks, signs = rng.integers(0, 2, (2, count, c.och, c.ich)).astype(bool)
        tiles.append(list(zip(pixels, masks, signs, strict=True)))
    expected = [array_total(c, steps) for steps in tiles]
    due, found = [], []

    async def step(ctx, cycle, values=None, **flags):
        if values is not None:
            for port, value, width in zip((dut.pixels, dut.masks, dut.signs), values, (8, 1, 1),
                                          strict=True):  # fmt: skip
                ctx.set(port, join(value.reshape(-1), width))
        for flag in ("valid", "first", "last"):
            ctx.set(getattr(dut, flag), flags.get(flag, 0))
        if ctx.get(dut.done):
            totals = split(ctx.get(dut.totals), c.accumulator_bits, c.banks * c.och)
            found.append((cycle, totals))
        await ctx.tick()

    async def bench(ctx):
        cycle = 0
        for steps in tiles:
            for number, values in enumerate(steps):
                while rng.random() < 0.3:
                    # Between steps anything may stand at the operands, even "last".
                    await step(ctx, cycle, first=1, last=1)
                    cycle += 1
                last = number == len(steps) - 1
                if last:
                    due.append(cycle + c.tree_levels)
                await step(ctx, cycle, values, valid=1, first=number == 0, last=last)
                cycle += 1
        for _ in range(c.tree_levels + 1):
            await step(ctx, cycle)
            cycle += 1

    simulate(dut, bench)
    assert [cycle for cycle, _ in found] == due
    assert [totals for _, totals in found] == [values.tolist() for values in expected]
