import random

import numpy as np
import pytest
from expanders import expand, mask_of_steps, take_chunks, words_of_bits
from rtl_helpers import join, simulate

from hiddenite.golden.rice import RiceCode
from hiddenite.rtl.masks.serial_expander import SerialMaskExpander


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("program_bits", [8, 16, 32, 64])
@pytest.mark.parametrize("parameter", range(RiceCode.MAX_PARAMETER + 1))
def test_steps_make_the_golden_mask(program_bits, parameter, signed):
    rng = np.random.default_rng(parameter)
    mask = rng.random(150 << parameter // 2) < 0.8 / (1 << parameter // 2)
    sign = mask & (rng.random(len(mask)) < 0.5) & signed
    rice = RiceCode(parameter, signed)
    code = rice.encode(mask, sign)
    words = words_of_bits(code.bits(), program_bits)
    for stalls in (None, random.Random(program_bits)):
        dut = SerialMaskExpander(program_bits, 8)
        steps, _ = expand(dut, rice, words, len(code.value), stalls)
        found = mask_of_steps(steps, len(mask))
        assert (found[0] == mask).all() and (found[1] == sign).all()


@pytest.mark.parametrize("chunk_bits", [1, 2, 8, 16])
@pytest.mark.parametrize("program_bits", [16, 64])
def test_chunks(program_bits, chunk_bits):
    """In the order of the words, one a cycle."""
    bits = np.random.default_rng(2).integers(0, 2, 40 * chunk_bits).astype(np.uint8)
    words = words_of_bits(bits, program_bits)
    expected = [join(chunk, 1) for chunk in bits.reshape(-1, chunk_bits)]
    for rng in (None, random.Random(3)):
        dut = SerialMaskExpander(program_bits, chunk_bits)
        chunks, taken, cycles = take_chunks(dut, words, 40, rng)
        assert chunks == expected
        assert taken == len(bits) // program_bits + 1
        assert rng or cycles == 39


@pytest.mark.parametrize("program_bits", [8, 16, 32, 64])
def test_words_taken_depend_on_the_code_only(program_bits):
    mask = np.random.default_rng(1).random(300) < 0.4
    code = RiceCode(1).encode(mask)
    words = words_of_bits(code.bits(), program_bits)
    for count in (1, 2, 40, 41, len(code.value)):
        expected = int(code.length[:count].sum()) // program_bits + 1
        for rng in (None, random.Random(1), random.Random(2), random.Random(3)):
            _, taken = expand(SerialMaskExpander(program_bits, 8), RiceCode(1), words, count, rng)
            assert taken == expected


@pytest.mark.parametrize(
    "parameter, bits, pieces, steps",
    [
        (0, "0 11 10 11", 3, [(0, 1), (2, 0), (1, 0), (0, 1), (2, 0)]),
        (1, "00 01 11 01 100", 4, [(0, 1), (1, 1), (4, 0), (1, 1), (2, 0), (0, 1)]),
        (1, "11 11 11 11 00", 3, [(4, 0), (4, 0), (4, 0), (4, 0), (0, 1)]),
        # No step has bits of two words.
        (1, "00 00 00 100 1100", 5, [(0, 1)] * 3 + [(2, 0), (0, 0), (0, 1), (4, 0), (0, 1)]),
        (1, "00 00 00 0 0", 4, [(0, 1)] * 4),
        (0, "0000000 11 0", 8, [(0, 1)] * 7 + [(1, 0), (1, 0), (0, 1)]),
        (3, "0111 10101", 2, [(1, 0), (2, 0), (4, 1), (8, 0), (1, 0), (0, 0), (4, 1)]),
    ],
)
def test_steps(parameter, bits, pieces, steps):
    """Two ones at a time, and the zero with the first bit of the remainder."""
    digits = np.array([int(bit) for bit in bits.replace(" ", "")], np.uint8)
    words = words_of_bits(digits, 8)
    found, _ = expand(SerialMaskExpander(8, 8), RiceCode(parameter), words, pieces)
    assert [step[:2] for step in found[: len(steps)]] == steps


def test_a_word_that_follows_costs_no_cycle():
    dut = SerialMaskExpander(8, 8)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload, 0)
        ctx.set(dut.start_layer, 1)
        await ctx.tick()
        ctx.set(dut.start_layer, 0)
        await ctx.tick().until(dut.valid)
        ctx.set(dut.take, 1)
        for _ in range(100):
            assert ctx.get(dut.valid)
            assert (ctx.get(dut.run), ctx.get(dut.keep)) == (0, 1)
            await ctx.tick()

    simulate(dut, bench)


def test_clear_forgets_everything():
    dut = SerialMaskExpander(16, 8)

    async def bench(ctx):
        ctx.set(dut.parameter, 2)
        ctx.set(dut.start_layer, 1)
        await ctx.tick()
        ctx.set(dut.start_layer, 0)
        ctx.set(dut.i.payload, 0b0111)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.valid)
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.take, 1)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.whole)
        ctx.set(dut.take, 0)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        assert not ctx.get(dut.valid) and not ctx.get(dut.full) and ctx.get(dut.i.ready)
        assert ctx.get(dut.whole)
        ctx.set(dut.parameter, 0)
        ctx.set(dut.start_layer, 1)
        await ctx.tick()
        ctx.set(dut.start_layer, 0)
        ctx.set(dut.i.payload, 0b0111)  # a run of 3, then runs of 0
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.valid)
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.take, 1)
        steps = []
        for _ in range(4):
            steps.append((ctx.get(dut.run), ctx.get(dut.keep)))
            await ctx.tick()
        assert steps == [(2, 0), (1, 0), (0, 1), (0, 1)]

    simulate(dut, bench)
