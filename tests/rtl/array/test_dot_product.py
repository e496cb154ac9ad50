from itertools import product

import numpy as np
import pytest
from rtl_helpers import join, relative, simulate

from hiddenite.rtl.array.chain_dot_product import ChainDotProduct
from hiddenite.rtl.array.dot_product import CombinationalDotProduct, TreeDotProduct
from hiddenite.rtl.array.flip_dot_product import FlipDotProduct, flip_offset
from hiddenite.rtl.primitives.shared_module import collect_modules
from hiddenite.rtl.verilog import convert

BUILDS = {
    "tree": TreeDotProduct,
    "flip": FlipDotProduct,
    "chain": ChainDotProduct,
    "combinational": CombinationalDotProduct,
}
LATENCY = {
    "tree": lambda ich: ich.bit_length() + 1,
    "flip": lambda ich: max(1, ich // 8).bit_length() + 1,
    "chain": lambda ich: ich + 1,
    "combinational": lambda ich: 1,
}


def operands(rng, ich):
    """Activations, masks and signs (1: negative); the extremes occur."""
    pixel = rng.choice([0, 255, rng.integers(256)], ich)
    density = rng.choice([0, 0.5, 1])
    mask = rng.random(ich) < density
    return pixel, mask, mask & (rng.random(ich) < rng.choice([0, 0.5, 1]))


def offset(build, mask, sign):
    """What the sum of a word is too large by."""
    mask, sign = np.array(mask, bool), np.array(sign, bool)
    return int(flip_offset(mask, sign) if build == "flip" else 255 * sign.sum())


def drive(build, ich, bits, steps, first, valid):
    """Totals of a dot product after each step; what is not valid has its operands too."""
    dut = BUILDS[build](ich, bits)
    if build == "flip":
        steps = [(pixel, mask, relative(sign)) for pixel, mask, sign in steps]
    latency = LATENCY[build](ich)
    assert len(dut.valid) == latency
    late = [i if build == "chain" else 0 for i in range(ich)]
    found = []

    def at(values, cycle):
        return values[cycle] if 0 <= cycle < len(values) else 0

    async def bench(ctx):
        for cycle in range(len(steps) + latency):
            if cycle >= latency:
                found.append(ctx.get(dut.total))
            own = [at(steps, cycle - i) or ([0] * ich,) * 3 for i in late]
            for number, (port, width) in enumerate(((dut.pixel, 8), (dut.mask, 1), (dut.sign, 1))):
                ctx.set(port, join([own[i][number][i] for i in range(ich)], width))
            ctx.set(dut.valid, join([at(valid, cycle - n) for n in range(latency)], 1))
            ctx.set(dut.first, at(first, cycle - latency + 1))
            await ctx.tick()

    simulate(dut, bench)
    return found


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("ich", [1, 2, 4, 8, 16, 32])
def test_total_is_the_signed_sum_with_a_constant_of_its_signs_too_much(ich, build):
    rng = np.random.default_rng(ich)
    steps = [operands(rng, ich) for _ in range(80)]
    first = [bool(rng.random() < 0.2) for _ in steps]
    first[0] = True
    valid = [bool(rng.random() < 0.7) for _ in steps]
    valid[0] = True
    expected, total = [], 0
    for (pixel, mask, sign), begins, adds in zip(steps, first, valid, strict=True):
        if adds:
            total = 0 if begins else total
            total += int((mask * np.where(sign, -1, 1) * pixel.astype(int)).sum())
            total += offset(build, mask, sign)
        expected.append(total)
    assert drive(build, ich, 20, steps, first, valid) == expected


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("ich", "bits"), [(1, 12), (8, 12), (32, 14)])
def test_accumulator_takes_all_that_its_bits_allow(ich, bits, build):
    for pixel, sign in ((0, 1), (255, 0)):
        each = offset(build, [1] * ich, [sign] * ich) + pixel * ich
        count = ((1 << bits) - 1) // each
        steps = [([pixel] * ich, [1] * ich, [sign] * ich)] * count
        totals = drive(build, ich, bits, steps, [1] + [0] * (count - 1), [1] * count)
        assert totals == [each * (n + 1) for n in range(count)]


@pytest.mark.parametrize("build", BUILDS)
def test_every_pair_of_partial_sum_and_activation(build):
    """All carries between the inputs: one input through all values, beside others at extremes."""
    steps, expected = [], []
    for x in range(256):
        for others in (0, 1, 127, 128, 254, 255):
            for at in range(4):
                values = [others] * 4
                values[at] = x
                mask, sign = [1] * 4, [at % 2] * 4
                steps.append((values, mask, sign))
                expected.append((-1 if at % 2 else 1) * sum(values) + offset(build, mask, sign))
    ones = [1] * len(steps)
    assert drive(build, 4, 12, steps, ones, ones) == expected


@pytest.mark.parametrize("ich", [1, 2, 4, 8])
def test_every_mask_and_sign_of_a_word_that_flips(ich):
    """With the largest and the smallest sum that they allow, none of which may overflow."""
    steps, expected = [], []
    for states in product((0, 1, -1), repeat=ich):
        weights = np.array(states)
        mask, sign = weights != 0, weights < 0
        for largest in (True, False):
            pixel = np.where((weights > 0) == largest, 255, 0)
            steps.append((pixel, mask, sign))
            expected.append(int(weights @ pixel) + offset("flip", mask, sign))
    ones = [1] * len(steps)
    assert drive("flip", ich, 12, steps, ones, ones) == expected
    assert min(expected) >= 0
    assert max(expected) < 1 << (8 + ich.bit_length() - 1)


@pytest.mark.parametrize(
    ("ich", "bits", "cells"), [(1, 12, [7]), (8, 20, [5, 5, 6, 5, 6, 5, 7, 11])]
)
def test_a_chain_is_no_longer_than_an_addition(ich, bits, cells):
    """A bit that lets no carry in, those of the sum, one for its carry; two bits a cell."""
    with collect_modules() as modules:
        convert(ChainDotProduct(ich, bits), "dot_product")
    found = [convert(chain, name).count("CCU2C #(") for name, chain in modules.items()]
    assert found == cells
