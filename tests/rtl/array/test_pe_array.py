from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, join, late, relative, simulate, split

from hiddenite.rtl.array.builds import build_of
from hiddenite.rtl.array.pe_array import PEArray
from hiddenite.rtl.array.timing import (
    activation_skew,
    array_latency,
    channel_delays,
    pixel_delays,
    weight_skew,
)


def array_total(c, steps):
    """Totals of a pixel tile, from its steps' pixels, masks and signs."""
    total = np.zeros((c.banks, c.och), int)
    for pixels, masks, signs in steps:
        total += (masks * np.where(signs, -1, 1) * pixels[:, None]).sum(-1)
        total += build_of(c).offset(masks, signs)
    return total.reshape(-1)


# One whose weights, too, come late, and one that hands activations on.
WIDE = replace(CONFIGURATIONS["more_och"], ich=16, och=2, cols=2)
FAR = replace(CONFIGURATIONS["more_och"], och=32, pipelining=3)


@pytest.mark.parametrize("array", ["tree", "flip", "chain", "combinational"])
@pytest.mark.parametrize(
    "c", [*CONFIGURATIONS.values(), WIDE, FAR], ids=[*CONFIGURATIONS, "wide", "far"]
)
def test_array_sums_each_pixel_tile(c, array):
    c = replace(c, array=array)
    rng = np.random.default_rng(2)
    dut = PEArray(c)
    tiles = []
    for _ in range(12):
        count = int(rng.integers(1, 6))
        pixels = rng.integers(0, 256, (count, c.banks, c.ich))
        masks, signs = rng.integers(0, 2, (2, count, c.och, c.ich)).astype(bool)
        tiles.append(list(zip(pixels, masks, masks & signs, strict=True)))
    expected = [array_total(c, steps) for steps in tiles]
    if array == "flip":
        tiles = [
            [
                (pixels, masks, np.array([relative(s) for s in signs]))
                for pixels, masks, signs in tile
            ]
            for tile in tiles
        ]
    due, seen = [], []
    done = [[] for _ in range(c.banks)]
    weights_late = [own + skew for own in channel_delays(c) for skew in weight_skew(c)]
    ports = (
        (dut.pixels, 8, activation_skew(c)),
        (dut.weights.masks, 1, weights_late),
        (dut.weights.signs, 1, weights_late),
    )
    operands = [[] for _ in ports]

    async def step(ctx, cycle, values=None, **flags):
        for number, (port, width, skew) in enumerate(ports):
            rows = operands[number]
            rows.append(rows[-1] if values is None and rows else None)
            if values is not None:
                rows[-1] = values[number].reshape(-1).tolist()
            if rows[-1] is not None:
                ctx.set(port, join([v or 0 for v in late(rows[-1 - max(skew) :], skew)], width))
        for flag in ("valid", "first", "last"):
            ctx.set(getattr(dut, flag), flags.get(flag, 0))
        for pixel in range(c.banks):
            if ctx.get(dut.sums.done[pixel]):
                done[pixel].append(cycle)
        seen.append(split(ctx.get(dut.sums.totals), c.accumulator_bits, c.banks * c.och))
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
                    due.append(cycle + array_latency(c))
                await step(ctx, cycle, values, valid=1, first=number == 0, last=last)
                cycle += 1
        for _ in range(array_latency(c) + c.banks + c.och):
            await step(ctx, cycle)
            cycle += 1

    simulate(dut, bench)
    assert done == [[cycle + late for cycle in due] for late in pixel_delays(c)]
    for cycle, values in zip(due, expected, strict=True):
        for index, value in enumerate(values):
            pixel, channel = divmod(index, c.och)
            assert seen[cycle + pixel_delays(c)[pixel] + channel_delays(c)[channel]][index] == value


def test_a_negative_weight_counts_255_too_much():
    mask, negative = np.random.default_rng(1).integers(0, 2, (2, 5, 3, 4)).astype(bool)
    negative &= mask
    for array in ("tree", "chain", "combinational"):
        c = replace(CONFIGURATIONS["square"], array=array)
        assert (build_of(c).offset(mask, negative) == 255 * negative.sum(-1)).all()
