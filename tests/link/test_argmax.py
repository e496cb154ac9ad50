import random

from rtl_helpers import send, simulate

from hiddenite.link.argmax import Argmax


def test_results_like_argmax():
    rng = random.Random(1)
    dut = Argmax()
    few = [-(1 << 31), -70000, -256, -1, 0, 1, 255, 256, (1 << 31) - 1]

    async def bench(ctx):
        for case in range(60):
            size = rng.choice([1, 2, 10, 256])
            values = [
                rng.choice(few) if case % 2 else rng.randrange(-(1 << 31), 1 << 31)
                for _ in range(size)
            ]
            payloads = [
                {"data": value & 0xFFFFFFFF, "last": i == size - 1}
                for i, value in enumerate(values)
            ]
            await send(ctx, dut.i, payloads, rng, 0.1)
            assert ctx.get(dut.o) == values.index(max(values))

    simulate(dut, bench, limit=100_000)
