import dataclasses
import random

import pytest
from rtl_helpers import CONFIGURATIONS, join, late, simulate, split

from hiddenite.rtl.activations.window import operand_latency
from hiddenite.rtl.array.timing import activation_skew
from hiddenite.rtl.output.residual_queue import ResidualQueue, queues_residuals, residual_memory
from hiddenite.rtl.output.sum_buffer import sum_buffer_latency
from hiddenite.rtl.output.timing import capture_latency

PIPELINED = {name: c for name, c in CONFIGURATIONS.items() if queues_residuals(c)}
# Sums that go through many cycles of a chain.
PIPELINED["long_chain"] = dataclasses.replace(CONFIGURATIONS["more_och"], ich=32, och=32, cols=1)


@pytest.mark.parametrize("name", PIPELINED)
def test_words_come_out_with_their_sums(name):
    """Pixel tiles follow each other as closely as they can; nothing is overwritten before its time.

    A pixel has one beat only, which is as soon as a pixel tile can be over.
    """
    c, rng = PIPELINED[name], random.Random(name)
    dut = ResidualQueue(c)
    words = c.och // c.unit
    period = max(2, c.banks, words + 1)
    tiles = 3 * residual_memory(c).depth // words
    # Cycle of each word, of each capture, and of each beat with the bytes that it must give.
    loads, captures, beats = {}, {}, {}
    for tile in range(tiles):
        issued = 40 + tile * period
        residual = [[rng.randrange(256) for _ in range(c.och)] for _ in range(c.banks)]
        for word in range(words):
            pixels = []
            for own in residual:
                pixels += own[word * c.unit :][: c.unit]
                pixels += [rng.randrange(256) for _ in range(c.ich - c.unit)]
            loads[issued - words + word + operand_latency(c)] = pixels
        captures[issued + capture_latency(c)] = None
        for pixel, own in enumerate(residual):
            beat = rng.randrange(c.och // c.post_lanes)
            at = issued + capture_latency(c) + 1 + pixel
            beats[at] = pixel, beat, own[beat * c.post_lanes :][: c.post_lanes]

    async def bench(ctx):
        ctx.set(dut.residual, 1)
        given = []
        for cycle in range(max(beats) + sum_buffer_latency(c) + 1):
            given = [*given[-c.ich :], loads.get(cycle) or [0] * c.banks * c.ich]
            ctx.set(dut.load, cycle in loads)
            ctx.set(dut.pixels, join([v or 0 for v in late(given, activation_skew(c))], 8))
            ctx.set(dut.capture, cycle in captures)
            pixel, beat, _ = beats.get(cycle, (0, 0, None))
            ctx.set(dut.pixel, pixel)
            ctx.set(dut.beat, beat)
            before = beats.get(cycle - sum_buffer_latency(c))
            if before:
                assert split(ctx.get(dut.added), 8, c.post_lanes) == before[2]
            await ctx.tick()
        ctx.set(dut.residual, 0)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.added) == 0

    simulate(dut, bench)
