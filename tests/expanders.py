"""What tests of the decoders of masks share."""

import numpy as np
from rtl_helpers import join, simulate


def words_of_bits(bits, width):
    """Bits of a code as words of the program."""
    bits = np.append(bits, np.zeros(-len(bits) % width, np.uint8))
    return [join(word, 1) for word in bits.reshape(-1, width)]


def expand(dut, parameter, words, count, rng=None, pairs=False):
    """Expand ``count`` pieces; return the steps of them and the number of words taken.

    With ``pairs``, each second piece that is offered is taken along.
    """
    steps, taken = [], 0

    async def bench(ctx):
        nonlocal taken
        ctx.set(dut.parameter, parameter)
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
                steps.append((ctx.get(dut.run), ctx.get(dut.keep)))
            if pairs:
                ctx.set(dut.take_second, pieces + 1 < count and ctx.get(dut.take & dut.pair))
                if ctx.get(dut.take_second):
                    pieces += 1
                    steps.append((ctx.get(dut.second_run), ctx.get(dut.second_keep)))
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
    """The mask that steps make."""
    mask, position = np.zeros(count, bool), 0
    for run, keep in steps:
        position += run
        if keep and position < count:
            mask[position] = True
        position += keep
    assert position >= count
    return mask
