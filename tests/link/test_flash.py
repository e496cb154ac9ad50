import random

import pytest
from amaranth.sim import Simulator
from flash_model import FlashModel

from hiddenite.link.bridge import Bridge
from hiddenite.link.flash_firmware import Flash, seek_cycles
from hiddenite.link.flash_reader import byte_cycles
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


def bridge(first, clock_hz=12_000_000, lines=4):
    return Bridge(
        divisor=16,
        flash=Flash(BASE, clock_hz, BOTH, lines),
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
    assert not flash.ignored


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
    addresses = {address for _, address in flash.reads}
    assert {at for at in addresses if at >= first} == {first + n * (IMAGE + 4) for n in range(3)}
    resumed = {at for at in addresses if at < first} - {BASE, begin}
    assert {BASE, begin} <= addresses and bool(resumed) == (wants_at < size - 1)
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


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("maker", [0xEF, 0xC8, 0x9D, 0xC2, 0x20])
def test_four_lines_of_usual_flashes(maker, enabled):
    """QE is set where there is one, if it is not set."""
    rng = random.Random(maker)
    program, _, inside = contents(rng, 60)
    flash = FlashModel(inside, maker, enabled=enabled)
    engine = Engine(bridge(Sources.PROGRAM), rng, 90, image=False)
    run(engine, flash, 2)
    assert engine.programs[:-1] == [program] * 2
    assert {command for command, _ in flash.reads} == {0x6B}
    written = {0xEF: 0x31, 0xC8: 0x31, 0x9D: 0x01, 0xC2: 0x01}.get(maker)
    assert flash.writes == ([] if enabled or written is None else [written])


@pytest.mark.parametrize(("lines", "chip", "used"), [(4, 2, 1), (2, 1, 1), (2, 4, 2), (1, 4, 1)])
def test_as_many_lines_as_both_have(lines, chip, used):
    rng = random.Random(lines)
    program, images, inside = contents(rng, 60)
    # A maker whose flash has no QE, or one that is not known.
    flash = FlashModel(inside, 0x20, chip)
    engine = Engine(bridge(BOTH, lines=lines), rng, 30)
    run(engine, flash, 2)
    assert engine.programs[:-1] == [program] * 2 and engine.images[:-1] == images[:2]
    assert flash.reads[-1][0] == {1: 0x0B, 2: 0x3B, 4: 0x6B}[used]


def test_a_flash_that_does_not_stop_writing():
    """It does not answer, which ends in an error."""
    rng = random.Random(4)
    _, _, inside = contents(rng, 60)
    flash = FlashModel(inside, 0x9D, write_cycles=1 << 30)
    dut = bridge(Sources.PROGRAM, clock_hz=100_000)

    async def bench(ctx):
        await ctx.tick().until(dut.fault)

    async def follow(ctx):
        await flash.follow(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_testbench(follow, background=True)
    simulator.run()
    assert flash.writes == [0x01] and set(flash.ignored) == {0x6B, 0x0B}


@pytest.mark.parametrize("lines", [1, 2, 4])
@pytest.mark.parametrize("clock_hz", [12_000_000, 100_000_000])
def test_speed(clock_hz, lines):
    """Bytes of a program follow each other without a pause."""
    rng = random.Random(5)
    _, _, inside = contents(rng, 300)
    dut = bridge(Sources.PROGRAM, clock_hz, lines)
    times, cycle = [], [0]

    async def bench(ctx):
        ctx.set(dut.program.ready, 1)
        while len(times) < 301:
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
    each = byte_cycles(clock_hz, lines)
    assert times[299] - times[0] == each * 299
    # From the last byte of a program to the first one of the next.
    assert 0.9 <= (times[300] - times[299]) / seek_cycles(clock_hz, lines) <= 1.1
