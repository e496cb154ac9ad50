import random

import pytest
from amaranth.sim import Simulator
from link_helpers import FlashModel

from hiddenite.link.bridge import Bridge
from hiddenite.link.flash_firmware import Flash
from hiddenite.link.memory_contents import HEADER_BYTES, memory_contents
from hiddenite.link.protocol import Sources

BASE = 0x3000
BOTH = Sources.PROGRAM | Sources.IMAGE
IMAGE = 40


def contents(rng, program=700, images=3):
    """A program, images and what the flash holds."""
    program = rng.randbytes(program)
    images = [rng.randbytes(IMAGE) for _ in range(images)]
    return program, images, rng.randbytes(BASE) + memory_contents(program, images, fingerprint=1)


class Engine:
    """Takes a program's beginning, an image, the rest of the program, again and again.

    Parameters
    ----------
    wants_at : int
        Bytes of the program after which it wants the image.
    """

    def __init__(self, dut, rng, wants_at, program=True, image=True):
        self.dut, self.rng, self.wants_at = dut, rng, wants_at
        self.program_own, self.image_own = program, image
        self.programs, self.images = [b""], [b""]

    async def _take(self, ctx, stream, into):
        ctx.set(stream.ready, 1)
        _, _, payload, valid = await ctx.tick().sample(stream.payload, stream.valid)
        ctx.set(stream.ready, 0)
        if valid:
            into[-1] += bytes([payload.data])
            return payload.last
        return False

    async def run(self, ctx, runs):
        dut = self.dut
        for _ in range(runs):
            ended = not self.program_own
            while not ended and len(self.programs[-1]) < self.wants_at:
                ended = await self._take(ctx, dut.program, self.programs)
                await self._pause(ctx)
            if self.image_own:
                ctx.set(dut.image_wanted, 1)
                while not await self._take(ctx, dut.image, self.images):
                    await self._pause(ctx)
                    if ctx.get(dut.fault):
                        return
                ctx.set(dut.image_wanted, 0)
                self.images.append(b"")
            while not ended:
                ended = await self._take(ctx, dut.program, self.programs)
                await self._pause(ctx)
            self.programs.append(b"")

    async def _pause(self, ctx):
        while self.rng.random() < 0.3:
            await ctx.tick().repeat(self.rng.randrange(1, 60))


def bridge(first, clock_hz=12_000_000):
    return Bridge(
        divisor=16,
        flash=Flash(BASE, 50, BOTH),
        sources=BOTH,
        first=first,
        fingerprint=1,
        program_bytes=1,
        post_lanes=1,
        clock_hz=clock_hz,
        name="flash",
    )


def run(engine, flash, runs, limit=800_000):
    """Let it run, or stop with an error."""

    async def bench(ctx):
        await engine.run(ctx, runs)

    async def follow(ctx):
        await flash.follow(ctx, engine.dut)

    simulator = Simulator(engine.dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_testbench(follow, background=True)
    edges = 0
    while simulator.advance():
        edges += 1
        if edges > 2 * limit:
            raise TimeoutError("not done")


@pytest.mark.parametrize(
    "size, wants_at",
    [
        (700, 90),
        (700, 699),
        (30, 30),
        (1, 1),
        pytest.param(
            2000,
            1023,
            marks=pytest.mark.exhaustive("a program of 700 bytes is resumed beyond 256, too"),
        ),
    ],
)
def test_program_and_images_in_turn(size, wants_at):
    rng = random.Random(size)
    program, images, inside = contents(rng, size)
    engine = Engine(bridge(BOTH), rng, wants_at)
    flash = FlashModel(inside)
    run(engine, flash, 5)
    assert engine.programs[:-1] == [program] * 5
    assert engine.images[:-1] == [*images, *images[:2]]
    # An image is read in one go, a program from where it was left: one byte may be on its way.
    begin = BASE + HEADER_BYTES
    first = begin + size
    addresses = {command & 0xFFFFFF for command in flash.commands}
    assert {at for at in addresses if at >= first} == {first + n * (IMAGE + 4) for n in range(3)}
    resumed = {at for at in addresses if at < first} - {BASE, begin}
    assert {BASE, begin} <= addresses and bool(resumed) == (wants_at < size)
    assert resumed <= {begin + wants_at, begin + wants_at + 1}


@pytest.mark.parametrize("source", [Sources.PROGRAM, Sources.IMAGE])
def test_one_of_both(source):
    rng = random.Random(int(source))
    program, images, inside = contents(rng, 300)
    has_program = source == Sources.PROGRAM
    engine = Engine(bridge(source), rng, 50, has_program, not has_program)
    run(engine, FlashModel(inside), 4)
    if has_program:
        assert engine.programs[:-1] == [program] * 4 and engine.images == [b""]
    else:
        assert engine.images[:-1] == [*images, images[0]]


@pytest.mark.parametrize(("clock_hz", "cycles"), [(12_000_000, 24), (100_000_000, 60)])
def test_speed(clock_hz, cycles):
    """A byte of a program takes no more instructions than 12."""
    rng = random.Random(5)
    _, _, inside = contents(rng, 700)
    dut = bridge(Sources.PROGRAM, clock_hz)
    times, cycle = [], [0]

    async def bench(ctx):
        ctx.set(dut.program.ready, 1)
        while len(times) < 700:
            _, _, valid = await ctx.tick().sample(dut.program.valid)
            cycle[0] += 1
            if valid:
                times.append(cycle[0])

    async def follow(ctx):
        await FlashModel(inside).follow(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_testbench(follow, background=True)
    simulator.run()
    assert times[-1] - times[0] <= cycles * 699
