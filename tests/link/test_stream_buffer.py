import random

import pytest
from amaranth.sim import Simulator

from hiddenite.link.stream_buffer import StreamBuffer


async def offer(ctx, dut, piece, *, last=False, commit=True):
    """Write a piece and what stands for its CRC; returns whether it has been taken."""
    for number, byte in enumerate(piece + b"CRC!"):
        ctx.set(dut.length, number)
        ctx.set(dut.data, byte)
        ctx.set(dut.write, 1)
        await ctx.tick()
        ctx.set(dut.write, 0)
        await ctx.tick()
    ctx.set(dut.length, len(piece))
    ctx.set(dut.last, last)
    ctx.set(dut.commit, commit)
    ctx.set(dut.begin, 1)
    _, _, fits = await ctx.tick().sample(dut.fits)
    ctx.set(dut.commit, 0)
    ctx.set(dut.begin, 0)
    ctx.set(dut.length, 0)
    return commit and fits


@pytest.mark.parametrize("size", [512, 1024])
def test_random_pieces(size):
    """Pieces that are right, damaged or too long, against a list of bytes."""
    rng = random.Random(size)
    dut = StreamBuffer(size)
    taken, got = [], []
    pace = [0.1]

    async def bench(ctx):
        offset, closed = 0, False
        for _ in range(150):
            pace[0] = rng.choice([0, 0, 0.02, 0.5])
            room = ctx.get(dut.room)
            assert room == 0 if closed and ctx.get(dut.o.valid) else True
            piece = rng.randbytes(rng.choice([1, 2, 255, 256, min(256, room or 1)]))
            last, commit = rng.random() < 0.1, rng.random() < 0.8
            before = ctx.get(dut.room)
            did = await offer(ctx, dut, piece, last=last, commit=commit)
            after = ctx.get(dut.room) if not did else None
            if commit and not did:
                assert len(piece) > before
            if not commit and after is not None:
                assert after >= before
            if did:
                taken.extend((byte, False) for byte in piece)
                taken[-1] = taken[-1][0], last
                offset += len(piece)
            closed = did and last
            assert ctx.get(dut.offset) == offset % 65536
        pace[0] = 1
        await ctx.tick().repeat(4 * size)
        assert got == taken and len(taken) > 3 * size
        assert ctx.get(dut.room) == size - 1

    async def drain(ctx):
        while True:
            ready = rng.random() < pace[0]
            ctx.set(dut.o.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid and ready:
                got.append((payload.data, bool(payload.last)))

    _run(dut, bench, drain)


def test_closed_until_empty():
    dut = StreamBuffer()

    async def bench(ctx):
        assert ctx.get(dut.room) == 511
        assert await offer(ctx, dut, bytes(256))
        assert ctx.get(dut.room) == 255
        assert not await offer(ctx, dut, bytes(256))
        assert await offer(ctx, dut, bytes(255), last=True)
        assert ctx.get(dut.room) == 0
        ctx.set(dut.o.ready, 1)
        for _ in range(510):
            await ctx.tick().until(dut.o.valid)
        assert ctx.get(dut.room) == 0
        assert not await offer(ctx, dut, bytes(1)) or ctx.get(dut.offset) == 512
        await ctx.tick().repeat(3)
        assert ctx.get(dut.room) in (511, 510)

    _run(dut, bench)


def _run(dut, bench, background=None):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    if background:
        simulator.add_testbench(background, background=True)
    simulator.run()
