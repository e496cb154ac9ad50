"""Sessions, offsets and answers, by frames on the pins; the engine is a list of bytes."""

import random
import zlib

import pytest
from amaranth.sim import Simulator
from link_helpers import PERIOD, pause, receive_bytes, send_bytes

from hiddenite.link.bridge import Bridge
from hiddenite.link.protocol import (
    LONGEST_NAME,
    OFFSET,
    BoardState,
    Decoder,
    FrameType,
    Info,
    Sources,
    Status,
    encode,
)

# Slow and fast clocks, and the fewest cycles of a bit for each.
DIVISORS = {24_000_000: 16, 100_000_000: 40}
FRESH = Status(0, 0, 0, 0, 511, 0, 255, 0)


class Bench:
    """A bridge whose streams are taken and given when the test says so."""

    def __init__(self, clock_hz=24_000_000, **fields):
        self.divisor = DIVISORS[clock_hz]
        self.dut = Bridge(
            **{
                "divisor": self.divisor,
                "flash": None,
                "sources": Sources.PROGRAM,
                "first": Sources(0),
                "fingerprint": 0x7E7D0123,
                "program_bytes": 2,
                "post_lanes": 4,
                "clock_hz": clock_hz,
                "name": "x" * LONGEST_NAME,
            }
            | fields
        )
        self.received, self.decoder = [], Decoder()

    def run(self, bench):
        async def receive(ctx):
            await receive_bytes(ctx, self.dut.tx, self.divisor, self.received)

        simulator = Simulator(self.dut)
        simulator.add_clock(PERIOD)
        simulator.add_testbench(bench)
        simulator.add_testbench(receive, background=True)
        simulator.run()

    async def answers(self, ctx):
        """What the board says until it is silent."""
        size = -1
        while len(self.received) > size:
            size = len(self.received)
            await pause(ctx, 40 * self.divisor)
        data, self.received[:] = bytes(self.received), []
        return self.decoder.feed(data)

    async def ask(self, ctx, *body):
        """The one answer to a frame; None if there is none."""
        body = b"".join(bytes([b]) if isinstance(b, int) else b for b in body)
        await send_bytes(ctx, self.dut.rx, encode(body), self.divisor)
        answers = await self.answers(ctx)
        assert len(answers) <= 1
        return answers[0] if answers else None

    async def status(self, ctx, *body):
        return Status.unpack(await self.ask(ctx, *body))

    async def result(self, ctx, data):
        """Give bytes of a result."""
        for byte in data:
            ctx.set(self.dut.result.payload, byte)
            ctx.set(self.dut.result.valid, 1)
            await ctx.tick().until(self.dut.result.ready)
        ctx.set(self.dut.result.valid, 0)


def test_info_and_open():
    bench = Bench()

    async def run(ctx):
        info = await bench.ask(ctx, FrameType.HELLO, 200)
        assert info[:2] == bytes([FrameType.INFO, 0])
        assert Info.unpack(info) == (
            2, 0x7E7D0123, 511, 255, 2, 4, Sources.PROGRAM, 24_000_000, "x" * 32,
        )  # fmt: skip
        answer = await bench.ask(ctx, FrameType.OPEN, 0x7E, 0)
        assert answer[:2] == bytes([FrameType.STATUS, 0x7E]) and Status.unpack(answer) == FRESH
        for sources in (2, 3, 4, 0x80):
            status = await bench.status(ctx, FrameType.OPEN, sources, sources)
            assert status.state == BoardState.NO_SOURCE and ctx.get(bench.dut.fault)
        # The current session is only asked for its status.
        await bench.ask(ctx, FrameType.OPEN, 1, 0)
        await bench.ask(ctx, FrameType.IMAGE, 1, bytes(2), b"abc")
        assert (await bench.status(ctx, FrameType.OPEN, 1, 0)).image_offset == 3
        assert (await bench.status(ctx, FrameType.OPEN, 2, 0)).image_offset == 0
        ctx.set(bench.dut.state, 2)
        ctx.set(bench.dut.error, 9)
        ctx.set(bench.dut.layer, 0x7E)
        assert (await bench.status(ctx, FrameType.OPEN, 2, 0))[:3] == (2, 9, 0x7E)

    bench.run(run)


def test_what_is_no_request_gets_no_answer():
    bench = Bench()

    async def run(ctx):
        await bench.ask(ctx, FrameType.OPEN, 5, 0)
        for body in (
            [FrameType.HELLO, 5, 0],
            [FrameType.OPEN, 5],
            [FrameType.OPEN, 5, 0, 0],
            [FrameType.RESULT, 5],
            [FrameType.RESULT, 5, 0],
            [FrameType.RESULT, 5, 0, 0, 0],
            [FrameType.RESULT, 4, 0, 0],
            [FrameType.PROGRAM, 5, 0, 0],
            [FrameType.PROGRAM, 5, 0],
            [FrameType.IMAGE, 6, 0, 0, 1],
            [FrameType.IMAGE, 5, 0, 0, bytes(129)],
            [0x12, 5, 0, 0, 1],
            [FrameType.STATUS, 5],
            [0, 0],
        ):
            assert await bench.ask(ctx, *body) is None, body
        # A frame that is too long, with a CRC that is right.
        long = encode(bytes([FrameType.PROGRAM, 5, 0, 0]) + bytes(128))
        assert len(long) > 128
        for extra in (2, 120, 256, 600):
            body = bytes([FrameType.PROGRAM, 5, 0, 0]) + bytes([1]) * (128 + extra)
            frame = b"\x7e" + body + zlib.crc32(body).to_bytes(4, "little") + b"\x7e"
            await send_bytes(ctx, bench.dut.rx, frame, bench.divisor)
            assert await bench.answers(ctx) == []
        assert await bench.status(ctx, FrameType.OPEN, 5, 0) == FRESH

    bench.run(run)


def test_pieces():
    bench = Bench()
    rng = random.Random(5)
    data = rng.randbytes(512)

    async def run(ctx):
        dut = bench.dut
        await bench.ask(ctx, FrameType.OPEN, 5, 0)
        status = await bench.status(ctx, FrameType.PROGRAM, 5, OFFSET.pack(0), data[:128])
        # A byte on its way to the engine is in the buffer no more.
        room = status.program_room
        assert room - 383 in (0, 1) and status == FRESH._replace(
            program_offset=128, program_room=room
        )
        # Again, as when its answer was lost; a gap; for a session that is over.
        for offset in (0, 129, 128 + 256):
            assert await bench.status(
                ctx, FrameType.PROGRAM, 5, OFFSET.pack(offset), data[:100]
            ) == status._replace(program_room=384)
        # Damaged: then the right one.
        frame = bytearray(encode(bytes([FrameType.PROGRAM, 5, 128, 0]) + bytes(120)))
        frame[50] ^= 1
        await send_bytes(ctx, dut.rx, frame, bench.divisor)
        assert await bench.answers(ctx) == []
        for begin in (128, 256, 384):
            kind = FrameType.PROGRAM_LAST if begin == 384 else FrameType.PROGRAM
            piece = data[begin : begin + 128]
            status = await bench.status(ctx, kind, 5, OFFSET.pack(begin), piece)
        assert status == FRESH._replace(program_offset=512, program_room=0)
        got = b""
        ctx.set(dut.program.ready, 1)
        for number in range(512):
            (payload,) = await ctx.tick().sample(dut.program.payload).until(dut.program.valid)
            got += bytes([payload.data])
            assert payload.last == (number == 511)
        assert got == data
        ctx.set(dut.program.ready, 0)
        status = await bench.status(ctx, FrameType.OPEN, 5, 0)
        assert status == FRESH._replace(program_offset=512)
        # Full to the last byte, and a piece that is one too long.
        await bench.ask(ctx, FrameType.OPEN, 7, 0)
        for begin in (0, 128):
            status = await bench.status(
                ctx, FrameType.IMAGE, 7, OFFSET.pack(begin), data[begin : begin + 128 - begin // 64]
            )
        assert (status.image_offset, status.image_room) == (254, 2)
        for size, offset in ((3, 254), (2, 256), (1, 256)):
            status = await bench.status(ctx, FrameType.IMAGE, 7, OFFSET.pack(254), data[:size])
            assert status.image_offset == offset
        assert status.image_room == 0
        # The board's own program: the host's is not taken.
        await bench.ask(ctx, FrameType.OPEN, 6, Sources.PROGRAM)
        assert await bench.status(ctx, FrameType.PROGRAM, 6, OFFSET.pack(0), b"x") == FRESH
        assert (await bench.status(ctx, FrameType.IMAGE, 6, OFFSET.pack(0), b"x")).image_offset == 1

    bench.run(run)


@pytest.mark.parametrize(
    "size",
    [
        # Its offsets go beyond a byte, and round the buffer of 63 bytes four times.
        300,
        pytest.param(
            1000, marks=pytest.mark.exhaustive("300 bytes go round the buffer and beyond 256")
        ),
    ],
)
def test_results(size):
    bench = Bench()
    rng = random.Random(6)
    data = rng.randbytes(size)

    async def run(ctx):
        dut = bench.dut
        await bench.ask(ctx, FrameType.OPEN, 5, 0)
        assert await bench.status(ctx, FrameType.RESULT, 5, OFFSET.pack(0)) == FRESH
        await bench.result(ctx, data[:63])
        for _ in range(2):
            answer = await bench.ask(ctx, FrameType.RESULT, 5, OFFSET.pack(0))
            assert answer == bytes([FrameType.RESULT_DATA, 5, 0, 0]) + data[:63]
        # Full until the host says what it has; a byte more waits outside.
        await bench.result(ctx, data[63:64])
        ctx.set(dut.result.valid, 1)
        for _ in range(200):
            await ctx.tick()
            assert not ctx.get(dut.result.ready)
        ctx.set(dut.result.valid, 0)
        for wrong in (64, 256, 0xFFFF, 0x0100, 300):
            status = await bench.status(ctx, FrameType.RESULT, 5, OFFSET.pack(wrong))
            assert status.result_end == 63
        have, end, given = 0, 63, 64
        while have < len(data):
            answer = await bench.ask(ctx, FrameType.RESULT, 5, OFFSET.pack(have))
            if answer[0] == FrameType.RESULT_DATA:
                assert OFFSET.unpack_from(answer, 2)[0] == have
                piece = answer[4:]
                assert piece == data[have : have + len(piece)] and len(piece) == end - have
                # Not always all of it has arrived.
                have += rng.choice([len(piece), rng.randrange(len(piece) + 1)])
            else:
                assert have == end
            room = 64 - (given - have)
            if room:
                await bench.ask(ctx, FrameType.RESULT, 5, OFFSET.pack(have))
                more = data[given : given + rng.randrange(room + 1)]
                await bench.result(ctx, more)
                given += len(more)
                end = (await bench.status(ctx, FrameType.OPEN, 5, 0)).result_end
                assert end == min(given, have + 63)

    bench.run(run)


@pytest.mark.parametrize("clock_hz", DIVISORS)
def test_requests_in_one_go(clock_hz):
    """Two requests without waiting; flags between them are shared."""
    bench = Bench(clock_hz)

    async def run(ctx):
        first = encode(bytes([FrameType.OPEN, 9, 0]))
        second = encode(bytes([FrameType.HELLO, 0]))
        await send_bytes(ctx, bench.dut.rx, first + second[1:], bench.divisor)
        answers = await bench.answers(ctx)
        assert [a[0] for a in answers] == [FrameType.STATUS, FrameType.INFO]

    bench.run(run)
