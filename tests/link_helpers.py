"""What tests of the link share: a UART, a host and noise in Python."""

from hiddenite.link.firmware_memory import LONGEST_PIECE
from hiddenite.link.protocol import (
    ESCAPE,
    FLAG,
    HEADER,
    OFFSET,
    OFFSET_MODULUS,
    SOURCES,
    STATUS,
    BoardState,
    Decoder,
    FrameType,
    Status,
    encode,
)

__all__ = ["PERIOD", "Host", "Noise", "pause", "receive_bytes", "send_bytes"]

PERIOD = 1e-6
"""Of the clock of those simulations that `pause`."""


async def pause(ctx, cycles):
    """Wait for so many edges of the clock, at least two.

    It sleeps between the first and the last: to be woken by every one takes an eighth of a
    simulation.
    """
    await ctx.tick()
    # Until half a period before the last, so that it is not missed.
    await ctx.delay((cycles - 1.5) * PERIOD)
    await ctx.tick()


async def send_bytes(ctx, pin, data, divisor, stop=1):
    """Send bytes to a pin, one after another."""
    for byte in data:
        for bit in (0, *(byte >> i & 1 for i in range(8)), stop):
            ctx.set(pin, bit)
            await pause(ctx, divisor)
    ctx.set(pin, 1)


async def receive_bytes(ctx, pin, divisor, received, enough=None):
    """Append bytes from a pin to a list until there are enough, or for ever."""
    while enough is None or len(received) < enough:
        # Woken by the start bit: to look at the pin in every cycle takes a fifth of a simulation.
        if ctx.get(pin):
            await ctx.negedge(pin)
        await pause(ctx, divisor + divisor // 2)
        byte = 0
        for i in range(8):
            byte |= ctx.get(pin) << i
            await pause(ctx, divisor)
        assert ctx.get(pin), "no stop bit"
        received.append(byte)


class Host:
    """The simplest host that the protocol allows: one request at a time, asked until answered.

    Parameters
    ----------
    port
        With ``write(bytes)`` and ``read(size, seconds)``.
    seconds : float
        How long to wait for an answer.
    longest : int
        Bytes of a piece, at most; the worse the line, the shorter.
    """

    def __init__(self, port, seconds=4e-3, longest=LONGEST_PIECE):
        self.port, self.seconds, self.longest, self.decoder = port, seconds, longest, Decoder()
        self.session, self.repeated = 0, 0
        self.program_begin = self.image_begin = self.result_offset = 0

    def ask(self, kind, fields=b"", tries=200):
        """Body of the answer."""
        request = encode(HEADER.pack(kind, self.session) + fields)
        wanted = {FrameType.HELLO: {FrameType.INFO}}.get(
            kind, {FrameType.STATUS, FrameType.RESULT_DATA}
        )
        for attempt in range(tries):
            if attempt:
                # What was late must not be taken for the answer to a later request.
                while received := self.port.read(64, self.seconds):
                    self.decoder.feed(received)
            self.port.write(request)
            while received := self.port.read(1, self.seconds):
                for body in self.decoder.feed(received):
                    if body[0] in wanted and body[1] == self.session:
                        return body
            self.repeated += 1
        raise TimeoutError("no answer")

    def open(self, session, sources=0):
        self.session = session
        self.program_begin = self.image_begin = self.result_offset = 0
        return Status.unpack(self.ask(FrameType.OPEN, SOURCES.pack(sources)))

    def infer(self, program, image, size, polls=400):
        """The result's bytes; a `Status` if there is none. ``None`` is the board's own stream."""
        result, polls_left = b"", polls
        streams = {FrameType.PROGRAM: program, FrameType.IMAGE: image}
        status = Status.unpack(self.ask(FrameType.OPEN, SOURCES.pack(0)))
        while len(result) < size and polls_left:
            if status.state not in (BoardState.IDLE, BoardState.RUNNING):
                return status
            piece = None
            for kind, data in streams.items():
                name = kind.name.lower()
                begin = getattr(self, f"{name}_begin")
                sent = (getattr(status, f"{name}_offset") - begin) % OFFSET_MODULUS
                room = getattr(status, f"{name}_room")
                if data is not None and sent < len(data) and room and piece is None:
                    part = data[sent : sent + min(room, self.longest)]
                    last = sent + len(part) == len(data)
                    piece = kind + last, OFFSET.pack((begin + sent) % OFFSET_MODULUS) + part
            if piece is None:
                piece = FrameType.RESULT, OFFSET.pack(self.result_offset)
                polls_left -= 1
            body = self.ask(*piece)
            if body[0] == FrameType.RESULT_DATA:
                (offset,) = OFFSET.unpack_from(body, HEADER.size)
                if offset == self.result_offset:
                    part = body[HEADER.size + OFFSET.size :]
                    result += part
                    self.result_offset = (offset + len(part)) % OFFSET_MODULUS
            elif len(body) == HEADER.size + STATUS.size:
                status = Status.unpack(body)
        self.program_begin = (self.program_begin + len(program or b"")) % OFFSET_MODULUS
        self.image_begin = (self.image_begin + len(image or b"")) % OFFSET_MODULUS
        return result if len(result) == size else status


class Noise:
    """A port on which bytes are lost, changed and added, both ways.

    Parameters
    ----------
    chance : float
        For each byte and each kind of damage.
    """

    def __init__(self, port, rng, chance):
        self.port, self.rng, self.chance, self.damage = port, rng, chance, 0

    def _damaged(self, data):
        out = bytearray()
        for byte in data:
            if self.rng.random() < self.chance:
                self.damage += 1
                continue
            if self.rng.random() < self.chance:
                self.damage += 1
                byte ^= 1 << self.rng.randrange(8)
            out.append(byte)
            if self.rng.random() < self.chance:
                self.damage += 1
                out += bytes([self.rng.choice([FLAG, ESCAPE, self.rng.randrange(256)])])
        return bytes(out)

    def write(self, data):
        self.port.write(self._damaged(data))

    def read(self, size, seconds):
        while data := self.port.read(size, seconds):
            if data := self._damaged(data):
                return data
        return b""
