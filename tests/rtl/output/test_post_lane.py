import random
from itertools import product

import pytest
from rtl_helpers import INT32, RANGES, output_of, simulate

from hiddenite.rtl.output.post_lane import PostLane
from hiddenite.rtl.program.layer_table import FAR_SHIFT

SHIFTERS = pytest.mark.parametrize("shifter", ["multiplexers", "multipliers"])
PIPELINED = pytest.mark.parametrize("pipelined", [False, True])


def give(ctx, dut, **values):
    """Set a lane's inputs: `shift` as networks have it, the type of the output by its name."""
    if "shift" in values:
        far = values["shift"] > FAR_SHIFT
        values |= {"shift": values["shift"] - 1 - far * FAR_SHIFT, "shift_far": far}
    if "kind" in values:
        kind = values.pop("kind")
        values |= {"int8": kind == "int8", "int32": kind == "int32"}
    for port, value in values.items():
        ctx.set(getattr(dut, port), value)


PORTS = ("total", "bias", "scale", "residual", "residual_scale", "shift", "kind")


def give_case(ctx, dut, case, residual_int8):
    """Set what `output_of` takes; a residual of int8 as it is stored."""
    values = dict(zip(PORTS, case, strict=True))
    values["residual"] += 128 * residual_int8
    give(ctx, dut, residual_int8=residual_int8, **values)


# What these take at the ends of their ranges.
EXTREMES = [
    *product([0, (1 << 32) - 1], INT32, [-32768, 32767], [0, 255], [2**24 - 1], [1, 24], RANGES),
    *product([0, (1 << 32) - 1], INT32, [-32768, 32767], [-128], [1, 2**24 - 1], [1, 24], RANGES),
    *((0, 0, 1, r, s, 24, k) for r, s in [(255, 2**24 - 1), (1, 2**23), (1, 2**23 - 1)]
      for k in RANGES),
    *((0, 0, 0, r, s, 1, k) for r in [-128, -1, 127] for s in [1, 2, 3, 2**15, 2**24 - 1]
      for k in RANGES),
    *((1, 0, s, 0, 0, h, k) for s in [-1, 0, 1] for h in [1, 2, 24] for k in RANGES),
    *((a, -256, s, 0, 0, 1, "uint8") for a in range(250, 262) for s in [-3, 2, 512]),
    *((a, 0, s, 0, 0, 1, "int8") for a in range(125, 131) for s in [-2, 2]),
    *((a, b, s, 0, 0, 1, "int32") for a, b in [(0, INT32[0]), (0, INT32[1])]
      for s in [-2, -1, 1, 2, 3]),
]  # fmt: skip


@PIPELINED
@SHIFTERS
def test_lane_computes_the_network_s_arithmetic(shifter, pipelined):
    rng = random.Random(1)
    cases = EXTREMES + [
        (
            rng.getrandbits(rng.randrange(1, 33)),
            rng.randrange(-(1 << rng.randrange(1, 32)), 1 << 20),
            rng.randrange(-32768, 32768),
            rng.randrange(-128, 256),
            rng.getrandbits(rng.randrange(1, 25)),
            rng.randrange(1, 25),
            rng.choice(list(RANGES)),
        )
        for _ in range(300)
    ]
    dut = PostLane(32, 34, shifter, pipelined)

    async def bench(ctx):
        give(ctx, dut, advance=1)
        for case in cases:
            # The layer's values are those of all outputs on their way.
            residual = case[PORTS.index("residual")]
            give_case(ctx, dut, case, residual < 0 or (residual < 128 and rng.random() < 0.5))
            await ctx.tick().repeat(PostLane.latency(pipelined))
            assert ctx.get(dut.output) == output_of(*case), case

    simulate(dut, bench)


@PIPELINED
@SHIFTERS
def test_lane_takes_an_output_whenever_it_advances(shifter, pipelined):
    rng = random.Random(2)
    dut = PostLane(20, 34, shifter, pipelined)
    values = [rng.getrandbits(20) for _ in range(200)]

    async def bench(ctx):
        give(ctx, dut, scale=77, bias=-500_000, shift=16, kind="int32")
        given = []
        while len(given) < len(values):
            advance = rng.random() < 0.6
            give(ctx, dut, advance=advance, total=values[len(given)] if advance else 0)
            given += [values[len(given)]] if advance else []
            await ctx.tick()
            if len(given) >= PostLane.latency(pipelined):
                total = given[-PostLane.latency(pipelined)]
                expected = output_of(total, -500_000, 77, 0, 0, 16, "int32")
                assert ctx.get(dut.output) == expected

    simulate(dut, bench)


@PIPELINED
@SHIFTERS
@pytest.mark.parametrize("bias_bits", [16, 20, 27, 33])
def test_lane_of_fewer_bits(bias_bits, shifter, pipelined):
    """All sums that fit in the bias are right, those at its ends too, and near every clip."""
    rng = random.Random(bias_bits)
    low, high = -(1 << bias_bits - 1), (1 << bias_bits - 1) - 1
    dut = PostLane(18, bias_bits, shifter, pipelined)

    async def bench(ctx):
        give(ctx, dut, advance=1)
        for number in range(600):
            kind, shift = rng.choice(list(RANGES)), rng.randrange(1, 25)
            scale = rng.choice([-32768, 32767, 1, -1, rng.randrange(-32768, 32768)])
            int8 = rng.randrange(2)
            residual, residual_scale = rng.randrange(256), rng.choice([0, rng.getrandbits(24)])
            residual -= 128 * int8
            # A sum whose output is about one of those where something changes.
            goal = rng.choice([*RANGES[kind], 0, rng.randrange(256)]) + rng.randrange(-2, 3)
            near = (goal << shift) // (scale or 1) + rng.randrange(-1, 2)
            total = rng.choice([low, high, rng.randrange(low, high + 1), near])
            total = min(max(total, low), high)
            acc = rng.getrandbits(18)
            acc = max(acc, total - high)
            acc = min(acc, total - low)
            case = (acc, total - acc, scale, residual, residual_scale, shift, kind)
            give_case(ctx, dut, case, int8)
            await ctx.tick().repeat(PostLane.latency(pipelined))
            assert ctx.get(dut.output) == output_of(*case), number

    simulate(dut, bench)
