import random

import numpy as np
import pytest
from expanders import expand, mask_of_steps, take_chunks, words_of_bits
from rtl_helpers import join, simulate

from hiddenite.golden.rice import RiceCode
from hiddenite.rtl.masks.mask_expander import (
    MAX_PAIR_PARAMETER,
    WINDOW_BITS,
    MaskExpander,
    is_pair,
)


@pytest.mark.parametrize("kind", ["single", "pairs", "signed"])
@pytest.mark.parametrize("program_bits", [8, 16, 32, 64])
@pytest.mark.parametrize("parameter", range(RiceCode.MAX_PARAMETER + 1))
def test_pieces_are_those_of_the_golden_code(program_bits, parameter, kind):
    rng = np.random.default_rng(parameter)
    mask = rng.random(150 << parameter // 2) < 0.8 / (1 << parameter // 2)
    rice = RiceCode(parameter, signed=kind == "signed")
    sign = mask & (rng.random(len(mask)) < 0.5) & rice.signed
    code = rice.encode(mask, sign)
    words = words_of_bits(code.bits(), program_bits)
    stalls = random.Random(program_bits)
    dut = MaskExpander(program_bits, 8, 1 + program_bits // 8 % 2)
    # Of a code with signs none is offered.
    pieces, _ = expand(dut, rice, words, len(code.value), stalls, kind != "single")
    assert len(pieces) == len(code.value)
    found = mask_of_steps(pieces, len(mask))
    assert (found[0] == mask).all() and (found[1] == sign).all()
    starts = np.cumsum([0] + [run + keep for run, keep, _ in pieces])[:-1]
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
        for seed in (None, 1, 2, 3):
            rng, dut = seed and random.Random(seed), MaskExpander(program_bits, 8)
            _, taken = expand(dut, RiceCode(1), words, count, rng, seed in (2, 3))
            assert taken == expected


@pytest.mark.parametrize("program_bits", [8, 16, 32, 64])
def test_a_piece_of_eight_bits_a_cycle(program_bits):
    """A run of 0 with parameter 6 and its sign are a byte: nothing waits for the window."""
    dut = MaskExpander(program_bits, 8)

    async def bench(ctx):
        ctx.set(dut.parameter, 6)
        ctx.set(dut.signed, 1)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.full)
        ctx.set(dut.take, 1)
        for _ in range(100):
            assert ctx.get(dut.valid)
            assert (ctx.get(dut.run), ctx.get(dut.keep)) == (0, 1)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("period", [1, 2])
@pytest.mark.parametrize("chunk_bits", [1, 4, 8, 16])
@pytest.mark.parametrize("program_bits", [8, 32])
def test_chunks(program_bits, chunk_bits, period):
    """In the order of the words, as fast as bytes come."""
    bits = np.random.default_rng(2).integers(0, 2, 40 * chunk_bits).astype(np.uint8)
    words = words_of_bits(bits, program_bits)
    expected = [join(chunk, 1) for chunk in bits.reshape(-1, chunk_bits)]
    for rng in (None, random.Random(3)):
        dut = MaskExpander(program_bits, chunk_bits, period)
        chunks, taken, cycles = take_chunks(dut, words, 40, rng)
        assert chunks == expected
        assert taken == (len(bits) + WINDOW_BITS) // program_bits + 1
        if rng is None and program_bits == 32:
            rate = max(period, chunk_bits // 8)
            # Between a word's last byte and the next one's first there may be some cycles.
            gaps = 2 * (period - 1) * len(bits) // program_bits * (chunk_bits > 4)
            assert 39 * rate <= cycles <= 39 * rate + gaps


@pytest.mark.parametrize("parameter", range(MAX_PAIR_PARAMETER + 2))
def test_pairs_are_of_short_pieces(parameter):
    """Whichever the pieces, wherever they begin in a byte."""
    rng = np.random.default_rng(parameter)
    code = RiceCode(parameter).encode(rng.random(2000) < 0.4 / (1 << parameter))
    ends = np.cumsum(code.length)
    words = words_of_bits(code.bits(), 64)
    dut = MaskExpander(64, 8)

    async def bench(ctx):
        ctx.set(dut.parameter, parameter)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload, words[0])
        taken = 0
        for piece in range(len(ends) - 30):
            while not ctx.get(dut.valid):
                ctx.set(dut.take, 0)
                ctx.set(dut.i.payload, words[taken])
                taken += ctx.get(dut.i.ready)
                await ctx.tick()
            begin, keep = int(ends[piece] - code.length[piece]), ctx.get(dut.keep)
            assert ctx.get(dut.pair) == (keep and is_pair(begin, int(ends[piece]), parameter))
            ctx.set(dut.take, 1)
            await ctx.delay(0)
            ctx.set(dut.i.payload, words[taken])
            taken += ctx.get(dut.i.ready)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("parameter", range(MAX_PAIR_PARAMETER + 1))
def test_a_pair_a_cycle(parameter):
    """Runs of 0 side by side, which are no longer than a byte: nothing waits."""
    dut = MaskExpander(16, 8)

    async def bench(ctx):
        ctx.set(dut.parameter, parameter)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.full)
        ctx.set(dut.take, 1)
        ctx.set(dut.take_second, 1)
        for _ in range(100):
            assert ctx.get(dut.valid) and ctx.get(dut.pair)
            assert (ctx.get(dut.second_run), ctx.get(dut.second_keep)) == (0, 1)
            await ctx.tick()

    simulate(dut, bench)


def test_clear_forgets_everything():
    dut = MaskExpander(16, 8)

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
