import random

import pytest
from rtl_helpers import receive, send, simulate

from hiddenite.link.words import WordAssembler, WordSplitter


@pytest.mark.parametrize("width", [2, 8])
def test_there_and_back(width):
    rng = random.Random(width)
    data = rng.randbytes(20 * width)
    words = [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]
    dut = WordAssembler(width)

    async def give(ctx):
        payloads = [{"data": b, "last": i == len(data) - 1} for i, b in enumerate(data)]
        await send(ctx, dut.i, payloads, random.Random(1))

    async def take(ctx):
        got = await receive(ctx, dut.o, len(words), random.Random(2))
        assert [p.data for p in got] == words
        assert [p.last for p in got] == [0] * (len(words) - 1) + [1]

    simulate(dut, give, take)
    splitter = WordSplitter(width)

    async def give_words(ctx):
        await send(ctx, splitter.i, words, random.Random(1))

    async def take_bytes(ctx):
        assert bytes(await receive(ctx, splitter.o, len(data), random.Random(2))) == data

    simulate(splitter, give_words, take_bytes)


def test_a_stream_that_ends_within_a_word():
    dut = WordAssembler(4)

    async def bench(ctx):
        await send(ctx, dut.i, [{"data": 1, "last": 0}, {"data": 2, "last": 1}])
        (payload,) = await receive(ctx, dut.o, 1)
        assert payload.last and payload.data & 0xFFFF == 0x0201
        await send(ctx, dut.i, [{"data": n, "last": 0} for n in range(4)])
        (payload,) = await receive(ctx, dut.o, 1)
        assert not payload.last and payload.data == 0x03020100

    simulate(dut, bench)
