"""What tests of the decoders of masks share."""

import numpy as np
from rtl_helpers import join, simulate

from hiddenite.rtl.masks.dense_code import DENSE


def words_of_bits(bits, width):
    """Bits of a code as words of the program."""
    bits = np.append(bits, np.zeros(-len(bits) % width, np.uint8))
    return [join(word, 1) for word in bits.reshape(-1, width)]


def expand(dut, code, words, count, rng=None, pairs=False):
    """Expand ``count`` pieces; return the steps of them and the number of words taken.

    A step is a run, whether it keeps a weight, and the sign, 0 where none is coded. With ``pairs``,
    each second piece that is offered is taken along.
    """
    steps, taken = [], 0

    async def bench(ctx):
        nonlocal taken
        ctx.set(dut.parameter, code.parameter)
        ctx.set(dut.signed, code.signed)
        ctx.set(dut.start_layer, 1)
        await ctx.tick()
        ctx.set(dut.start_layer, 0)
        pieces = 0
        while True:
            pieces += ctx.get(dut.take) and ctx.get(dut.whole)
            more = pieces < count
            chance = rng.random() if rng else 1
            ctx.set(dut.take, more and ctx.get(dut.valid) and (rng is None or rng.random() < 0.6))
            ctx.set(dut.i.valid, chance > 0.4)
            ctx.set(dut.i.payload, words[taken] if taken < len(words) else 0)
            if ctx.get(dut.take):
                negative = ctx.get(dut.keep & dut.negative) if code.signed else 0
                steps.append((ctx.get(dut.run), ctx.get(dut.keep), negative))
            if pairs:
                ctx.set(dut.take_second, pieces + 1 < count and ctx.get(dut.take & dut.pair))
                if ctx.get(dut.take_second):
                    pieces += 1
                    steps.append((ctx.get(dut.second_run), ctx.get(dut.second_keep), 0))
            await ctx.delay(0)
            moved = ctx.get(dut.i.ready) and ctx.get(dut.i.valid)
            # A last look at an expander that no longer moves.
            if not more and ctx.get(dut.full) and not ctx.get(dut.take):
                assert not moved
                break
            taken += moved
            await ctx.tick()

    simulate(dut, bench)
    return steps, taken


def mask_of_steps(steps, count):
    """The mask and the signs that steps make."""
    mask, sign, position = np.zeros(count, bool), np.zeros(count, bool), 0
    for run, keep, negative in steps:
        position += run
        if keep and position < count:
            mask[position], sign[position] = True, negative
        position += keep
    assert position >= count
    return mask, sign


def take_chunks(dut, words, count, rng=None):
    """Take ``count`` chunks of a dense layer whose signs are coded, from a fresh start.

    Returns them, the number of words taken, and the cycles from the first chunk to the last.
    """
    chunks, taken, cycles = [], 0, []

    async def bench(ctx):
        nonlocal taken
        ctx.set(dut.parameter, DENSE)
        ctx.set(dut.dense, 1)
        ctx.set(dut.signed, 1)
        ctx.set(dut.start_layer, 1)
        await ctx.tick()
        ctx.set(dut.start_layer, 0)
        cycle = 0
        while len(chunks) < count or not ctx.get(dut.full):
            there = ctx.get(dut.chunk_valid) and len(chunks) < count
            assert not there or ctx.get(dut.valid)
            take = there and (rng is None or rng.random() < 0.6)
            ctx.set(dut.take, take)
            if take:
                chunks.append(ctx.get(dut.chunk))
                cycles.append(cycle)
            ctx.set(dut.i.valid, rng is None or rng.random() < 0.6)
            ctx.set(dut.i.payload, words[taken] if taken < len(words) else 0)
            await ctx.delay(0)
            taken += ctx.get(dut.i.ready) and ctx.get(dut.i.valid)
            cycle += 1
            await ctx.tick()
        assert ctx.get(dut.whole)

    simulate(dut, bench)
    return chunks, taken, cycles[-1] - cycles[0]
