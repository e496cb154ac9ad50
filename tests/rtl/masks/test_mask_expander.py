import random

import numpy as np
import pytest
from expanders import expand, mask_of_steps, words_of_bits
from rtl_helpers import simulate

from hiddenite.golden.rice import RiceCode
from hiddenite.rtl.masks.mask_expander import WINDOW_BITS, MaskExpander


@pytest.mark.parametrize("program_bits", [8, 16, 32, 64])
@pytest.mark.parametrize("parameter", range(RiceCode.MAX_PARAMETER + 1))
def test_pieces_are_those_of_the_golden_code(program_bits, parameter):
    rng = np.random.default_rng(parameter)
    mask = rng.random(150 << parameter // 2) < 0.8 / (1 << parameter // 2)
    code = RiceCode(parameter).encode(mask)
    words = words_of_bits(code.bits(), program_bits)
    stalls = random.Random(program_bits)
    pieces, _ = expand(MaskExpander(program_bits), parameter, words, len(code.value), stalls)
    assert len(pieces) == len(code.value)
    assert (mask_of_steps(pieces, len(mask)) == mask).all()
    starts = np.cumsum([0] + [run + keep for run, keep in pieces])[:-1]
    assert starts.tolist() == code.start.tolist()


@pytest.mark.parametrize("program_bits", [8, 16, 32, 64])
def test_words_taken_depend_on_the_code_only(program_bits):
    mask = np.random.default_rng(1).random(300) < 0.4
    code = RiceCode(1).encode(mask)
    words = words_of_bits(code.bits(), program_bits)
    for count in (1, 2, 40, 41, len(code.value)):
        used = int(code.length[:count].sum())
        # A full window after these bits, and at least a byte in the hold.
        expected = (used + WINDOW_BITS) // 8 // (program_bits // 8) + 1
        for rng in (None, random.Random(1), random.Random(2), random.Random(3)):
            _, taken = expand(MaskExpander(program_bits), 1, words, count, rng)
            assert taken == expected


@pytest.mark.parametrize("program_bits", [8, 16, 32, 64])
def test_a_piece_of_eight_bits_a_cycle(program_bits):
    """A run of 0 with parameter 7 is a byte: nothing waits for the window or the hold."""
    dut = MaskExpander(program_bits)

    async def bench(ctx):
        ctx.set(dut.parameter, 7)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.full)
        ctx.set(dut.take, 1)
        for _ in range(100):
            assert ctx.get(dut.valid)
            assert (ctx.get(dut.run), ctx.get(dut.keep)) == (0, 1)
            await ctx.tick()

    simulate(dut, bench)


def test_clear_forgets_everything():
    dut = MaskExpander(16)

    async def bench(ctx):
        ctx.set(dut.i.payload, 0xFFFF)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.full)
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.valid) and not ctx.get(dut.full) and ctx.get(dut.i.ready)
        ctx.set(dut.i.payload, 0b0111)  # a run of 3, then runs of 0
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.valid)
        assert (ctx.get(dut.run), ctx.get(dut.keep)) == (3, 1)

    simulate(dut, bench)
