import random

import pytest
from amaranth.sim import Simulator
from flash_model import FlashModel

from hiddenite.link.flash_reader import (
    READ_COMMANDS,
    FlashControl,
    FlashReader,
    bit_cycles,
    byte_cycles,
)
from hiddenite.link.memory_contents import memory_contents

SELECT, RELEASE = FlashControl.SELECT, FlashControl.RELEASE
OPEN = SELECT | RELEASE


def test_a_flash_has_at_most_40_mhz():
    found = {mhz: bit_cycles(mhz * 1_000_000) for mhz in (1, 12, 80, 81, 160, 161)}
    assert found == {1: 2, 12: 2, 80: 2, 81: 4, 160: 4, 161: 8}
    assert [byte_cycles(24_000_000, lines) for lines in (1, 2, 4)] == [16, 8, 4]


class Bench:
    """A reader, a flash that gives data on as many lines, and what a controller does."""

    def __init__(self, lines, contents, cycles=2):
        self.lines, self.cycles = lines, cycles
        self.dut = FlashReader(cycles, lines)
        self.flash = FlashModel(contents, maker=0x20, lines=lines)

    def run(self, bench):
        async def follow(ctx):
            await self.flash.follow(ctx, self.dut)

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.add_testbench(follow, background=True)
        simulator.run()

    async def strobe(self, ctx, **values):
        for name, value in values.items():
            ctx.set(getattr(self.dut, name), value)
        await ctx.tick()
        for name in values:
            ctx.set(getattr(self.dut, name), 0)

    async def control(self, ctx, word):
        await self.strobe(ctx, control=word, set=1)

    async def byte(self, ctx, value=None):
        """Send a byte, or read one."""
        if value is None:
            await self.strobe(ctx, take=1)
        else:
            await self.strobe(ctx, i=value, load=1)
        cycles = 0
        while not ctx.get(self.dut.ready):
            await ctx.tick()
            cycles += 1
        return ctx.get(self.dut.o), cycles

    async def command(self, ctx, *sent):
        await self.control(ctx, 0)
        await ctx.tick().repeat(3)
        await self.control(ctx, SELECT)
        # The selection reaches the pin a cycle later.
        await ctx.tick().repeat(2)
        for value in sent:
            assert (await self.byte(ctx, value))[1] == 8 * self.cycles

    async def seek(self, ctx, address):
        await self.command(ctx, READ_COMMANDS[self.lines], *address.to_bytes(3, "big"))
        await self.control(ctx, OPEN)
        await self.byte(ctx)

    @property
    def wide(self):
        return FlashControl.WIDE if self.lines > 1 else 0

    async def count(self, ctx, number):
        for byte in (-number & 0xFFFFFF).to_bytes(3, "little"):
            await self.strobe(ctx, next_remaining=byte, rotate=1)


@pytest.mark.parametrize("cycles", [2, 4])
@pytest.mark.parametrize("lines", [1, 2, 4])
def test_bytes_and_their_checksum(lines, cycles):
    contents = memory_contents(b"program", fingerprint=3)
    bench = Bench(lines, contents, cycles)

    async def run(ctx):
        await bench.command(ctx, 0xAB)
        await bench.command(ctx, 0x9F)
        assert (await bench.byte(ctx))[0] == 0x20
        for word, right in ((FlashControl.CHECKSUM, True), (0, False)):
            await bench.seek(ctx, 0)
            await bench.control(ctx, OPEN | bench.wide | word)
            for number, expected in enumerate(contents[:24]):
                assert await bench.byte(ctx) == (expected, 8 // lines * cycles)
                assert ctx.get(bench.dut.right) == (right and number == 23)

    bench.run(run)
    assert bench.flash.reads == [(READ_COMMANDS[lines], 0)] * 2


@pytest.mark.parametrize("takes", [1, 0.7, 0.1])
@pytest.mark.parametrize("lines", [1, 2, 4])
@pytest.mark.parametrize("kind", [FlashControl.PROGRAM, FlashControl.IMAGE])
def test_stream(lines, takes, kind):
    rng = random.Random(f"{lines} {takes}")
    contents = rng.randbytes(700)
    bench = Bench(lines, contents)
    dut = bench.dut

    async def run(ctx):
        await bench.command(ctx, 0xAB)
        await bench.count(ctx, 300)
        await bench.seek(ctx, 7)
        await bench.control(ctx, OPEN | bench.wide | kind)
        got, cycles, cycle = [], [], 0
        while not ctx.get(dut.ready):
            ctx.set(dut.stream.ready, rng.random() < takes)
            assert ctx.get(dut.moved) == bool(got)
            assert ctx.get(dut.to_image) == (kind == FlashControl.IMAGE)
            _, _, payload, valid, ready = await ctx.tick().sample(
                dut.stream.payload, dut.stream.valid, dut.stream.ready
            )
            cycle += 1
            if valid and ready:
                got.append(payload.data)
                cycles.append(cycle)
                last = kind == FlashControl.PROGRAM and len(got) == 300
                assert payload.last == last
        assert bytes(got) == contents[7:307] and ctx.get(dut.remaining) == 0
        # What comes after the stream is there.
        assert ctx.get(dut.o) == contents[307]
        assert (await bench.byte(ctx))[0] == contents[308]
        if takes == 1:
            each = byte_cycles(24_000_000, lines)
            assert cycles == [each * (n + 1) + 1 for n in range(300)]

    bench.run(run)


@pytest.mark.parametrize("stops", ["control", "stop"])
def test_a_stream_that_is_stopped(stops):
    """What has been taken is counted, and nothing comes any more."""
    rng = random.Random(3)
    contents = rng.randbytes(500)
    bench = Bench(4, contents)
    dut = bench.dut

    async def run(ctx):
        await bench.command(ctx, 0xAB)
        taken = 0
        while taken < 400:
            await bench.count(ctx, 400 - taken)
            await bench.seek(ctx, taken)
            ctx.set(dut.stream.ready, 1)
            await bench.control(ctx, OPEN | bench.wide | FlashControl.PROGRAM)
            for _ in range(rng.randrange(4, 200)):
                _, _, valid, data = await ctx.tick().sample(
                    dut.stream.valid, dut.stream.payload.data
                )
                if valid:
                    assert data == contents[taken]
                    taken += 1
            ctx.set(dut.stream.ready, 0)
            if stops == "control":
                await bench.control(ctx, OPEN)
            else:
                await bench.strobe(ctx, stop=1)
            assert ctx.get(dut.ready) and not ctx.get(dut.stream.valid) and not ctx.get(dut.sck)
            left = 0
            for n in range(3):
                low = ctx.get(dut.remaining)
                left |= low << 8 * n
                await bench.strobe(ctx, next_remaining=low, rotate=1)
            assert left == (taken - 400) & 0xFFFFFF
        assert taken == 400

    bench.run(run)


def test_lines_that_are_driven():
    bench = Bench(4, b"")
    dut = bench.dut

    async def run(ctx):
        assert (ctx.get(dut.cs), ctx.get(dut.dq_oe)) == (1, 0b1101)
        await bench.command(ctx, 0xAB)
        await bench.control(ctx, OPEN)
        assert ctx.get(dut.dq_oe) == 0
        # The flash stops driving before the board begins.
        await bench.control(ctx, 0)
        await ctx.tick().repeat(2)
        assert (ctx.get(dut.cs), ctx.get(dut.dq_oe)) == (1, 0)
        await bench.control(ctx, SELECT)
        assert (ctx.get(dut.cs), ctx.get(dut.dq_oe)) == (1, 0b1101)
        assert ctx.get(dut.dq_o) >> 2 == 0b11
        await ctx.tick()
        assert ctx.get(dut.cs) == 0

    bench.run(run)
