import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, join, simulate, split

from hiddenite.rtl.pool import Pool


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_maximum_or_sum_of_each_pixel_tile(name, average):
    c = CONFIGURATIONS[name]
    rng = np.random.default_rng(3)
    dut = Pool(c)

    async def bench(ctx):
        expected = None

        async def cycle():
            """One cycle; the totals of a pixel tile come in the one after its last step."""
            nonlocal expected
            assert ctx.get(dut.done) == (expected is not None)
            if expected is not None:
                assert split(ctx.get(dut.totals), c.pool_bits, c.banks * c.unit) == expected
            expected = None
            await ctx.tick()

        ctx.set(dut.average, average)
        for _ in range(25):
            count = int(rng.integers(1, 8))
            steps = rng.integers(0, 256, (count, c.banks, c.ich))
            steps[rng.random(steps.shape) < 0.3] = rng.choice([0, 255])
            part = int(rng.integers(c.ich // c.unit))
            for number, pixels in enumerate(steps):
                ctx.set(dut.valid, 0)
                while rng.random() < 0.3:
                    ctx.set(dut.pixels, int(rng.integers(1 << 30)))
                    await cycle()
                ctx.set(dut.part, part)
                ctx.set(dut.pixels, join(pixels.reshape(-1), 8))
                ctx.set(dut.valid, 1)
                ctx.set(dut.first, number == 0)
                ctx.set(dut.last, number == count - 1)
                await cycle()
            own = steps[:, :, part * c.unit : (part + 1) * c.unit]
            expected = (own.sum(0) if average else own.max(0)).reshape(-1).tolist()
        ctx.set(dut.valid, 0)
        await cycle()

    simulate(dut, bench)


def test_sum_takes_all_that_its_bits_allow():
    c = CONFIGURATIONS["single"]
    dut = Pool(c)
    count = ((1 << c.pool_bits) - 1) // 255

    async def bench(ctx):
        ctx.set(dut.average, 1)
        ctx.set(dut.pixels, 255)
        ctx.set(dut.valid, 1)
        ctx.set(dut.first, 1)
        for _ in range(count):
            await ctx.tick()
            ctx.set(dut.first, 0)
        assert ctx.get(dut.totals) == 255 * count

    simulate(dut, bench)


def test_maximum_after_sums():
    """Nothing of a sum that took all bits is left over."""
    c = CONFIGURATIONS["single"]
    dut = Pool(c)

    async def bench(ctx):
        ctx.set(dut.average, 1)
        ctx.set(dut.valid, 1)
        ctx.set(dut.pixels, 255)
        await ctx.tick().repeat(200)
        ctx.set(dut.average, 0)
        for x, first, total in ((7, 1, 7), (3, 0, 7), (255, 0, 255), (0, 1, 0), (1, 0, 1)):
            ctx.set(dut.pixels, x)
            ctx.set(dut.first, first)
            await ctx.tick()
            assert ctx.get(dut.totals) == total

    simulate(dut, bench)
