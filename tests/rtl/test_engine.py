from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, compiled, random_conv, simulate

from hiddenite.rtl.engine import Engine, State
from hiddenite.rtl.program.packets import ErrorCode

TIMEOUT = 30


def bench_of(timeout_cycles):
    """An engine, and the words of a program that waits for an image of four beats."""
    c = replace(CONFIGURATIONS["more_och"], timeout_cycles=timeout_cycles)
    conv = random_conv(np.random.default_rng(1), 1, 1, name="conv")
    return Engine(c), compiled((2, 2, 1), conv, c=c).words.tolist()


async def give(ctx, port, words, last):
    """Give words to a stream, and nothing afterwards."""
    for number, word in enumerate(words):
        ctx.set(port.payload.data, word)
        ctx.set(port.payload.last, last and number == len(words) - 1)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
    ctx.set(port.valid, 0)


def errors(ctx, dut):
    return ctx.get(dut.status.error)


@pytest.mark.parametrize("count", [1, 5, 40])
def test_silence_of_a_program(count):
    """Only silence after the program has begun counts, and only as many cycles in a row as set."""
    dut, words = bench_of(TIMEOUT)

    async def run(ctx):
        await ctx.tick().repeat(4 * TIMEOUT)
        assert errors(ctx, dut) == ErrorCode.NONE
        for word in words[:count]:
            await give(ctx, dut.program, [word], last=False)
            await ctx.tick().repeat(TIMEOUT - 5)
            assert errors(ctx, dut) == ErrorCode.NONE
        await ctx.tick().repeat(10)
        assert errors(ctx, dut) == ErrorCode.TIMEOUT
        assert ctx.get(dut.status.state) == State.ERROR

    simulate(dut, run)


@pytest.mark.parametrize("beats", [0, 1, 3])
def test_silence_of_an_image(beats):
    """Before its first beat a host may take its time, unless the program is waited for too."""
    dut, words = bench_of(TIMEOUT)

    async def program(ctx):
        await give(ctx, dut.program, words, last=True)

    async def run(ctx):
        await ctx.tick().repeat(len(words) + 100)
        assert errors(ctx, dut) == ErrorCode.NONE
        await give(ctx, dut.image, [7] * beats, last=False)
        await ctx.tick().repeat(TIMEOUT + 10)
        assert errors(ctx, dut) == (ErrorCode.TIMEOUT if beats else ErrorCode.NONE)

    simulate(dut, run, program)


def test_no_timeout():
    dut, words = bench_of(0)

    async def run(ctx):
        await give(ctx, dut.program, words[:5], last=False)
        await ctx.tick().repeat(2000)
        assert errors(ctx, dut) == ErrorCode.NONE
        assert ctx.get(dut.status.state) == State.RUNNING

    simulate(dut, run)
