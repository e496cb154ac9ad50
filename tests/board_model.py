"""A board in software that speaks docs/link.md.

Bytes in, bytes out, at moments that its user names. Lines to it, good ones and bad ones, are in
`board_lines`.
"""

import numpy as np

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.inference import infer
from hiddenite.link.protocol import (
    HEADER,
    INFO,
    LONGEST_RESULT,
    OFFSET,
    STATUS,
    VERSION,
    BoardState,
    Decoder,
    FrameType,
    Sources,
    encode,
)
from hiddenite.rtl.program.packets import ErrorCode

_FIRST_PROGRAM_BYTES = 48
_MOD = 1 << 16


class _Buffer:
    """A buffer of the board, and what the engine has taken out of it."""

    def __init__(self, size):
        self.size = size
        self.expected = 0
        self.waiting = bytearray()
        self.ends = False
        self.taken = bytearray()

    @property
    def room(self):
        return 0 if self.ends else self.size - len(self.waiting)

    def put(self, offset, data, last):
        if offset == self.expected % _MOD and len(data) <= self.room:
            self.waiting += data
            self.expected += len(data)
            self.ends = last

    def take(self, count):
        """The engine takes bytes; returns whether these are the last of an item."""
        self.taken += self.waiting[:count]
        del self.waiting[:count]
        if self.ends and not self.waiting:
            self.ends = False
            return True
        return False


class BoardModel:
    """A board with an engine for one network.

    Parameters
    ----------
    network, configuration
        What the engine runs; programs are compared with the compiler's.
    buffer, result_buffer : int
        Sizes in bytes.
    rate : float
        Bytes a second that the engine takes from each stream.
    compute : float
        Seconds from the last byte of both to the result.
    own_program : bool
        Whether the program is in the board's memory.
    batch : int
        Images of the program.
    errors : dict of int to ErrorCode
        Runs (numbered from 0, over all sessions) that end with an error.
    restart_after : set of int
        Frames (numbered from 0) after which the board begins anew as after power-up.
    version, name, fingerprint, state
        Other than the right ones.
    """

    def __init__(
        self,
        network,
        configuration,
        *,
        buffer=1024,
        result_buffer=512,
        rate=4e6,
        compute=0.0005,
        own_program=False,
        batch=1,
        errors=None,
        restart_after=(),
        version=VERSION,
        fingerprint=None,
        state=None,
        own_network=None,
    ):
        self.configuration = c = configuration
        self.network = network
        self.program = compile_network(own_network or network, c, batch=batch)
        self.model_network = own_network or network
        self.program_bytes = self.program.bytes
        self.buffer, self.result_buffer = buffer, result_buffer
        self.rate, self.compute = rate, compute
        self.own_program = own_program
        self.errors = dict(errors or {})
        self.restart_after = set(restart_after)
        self.version, self.state = version, state
        self.fingerprint = c.fingerprint if fingerprint is None else fingerprint
        self.decoder = Decoder()
        self.frames = self.runs = self.sessions = 0
        self.images = []
        self.session = 0
        self._begin(Sources(0))

    def _begin(self, sources):
        self.sources = sources
        self.p, self.i = _Buffer(self.buffer), _Buffer(self.buffer)
        self.error = ErrorCode.NONE
        self.layer = 0
        self.result = bytearray()  # what the board has, from result_begin on
        self.result_begin = 0
        self.pending = b""
        self.ready_at = None
        self.program_done = self.image_done = False
        self.now = None

    # The engine.

    def advance(self, now):
        elapsed = 0 if self.now is None else now - self.now
        self.now = now
        if self.error or self._missing():
            return
        if self.ready_at is not None and now >= self.ready_at:
            self.ready_at = None
            self._compute()
        if self.ready_at is None and not self.pending:
            self._take(int(elapsed * self.rate) + 1)
        self._drain()

    def _drain(self):
        count = self.result_buffer - len(self.result)
        self.result += self.pending[:count]
        self.pending = self.pending[count:]

    def _take(self, count):
        """Take bytes as an engine does: a little program, the image, the rest of the program."""
        own = bool(self.sources & Sources.PROGRAM)
        if not self.program_done and not own:
            most = count if self.image_done else _FIRST_PROGRAM_BYTES - len(self.p.taken)
            self.program_done = self.p.take(max(0, min(count, most)))
            if self.program_done and not self.image_done:
                self.error = ErrorCode.TRUNCATED
        if not self.image_done and (own or len(self.p.taken) >= _FIRST_PROGRAM_BYTES):
            self.image_done = self.i.take(count)
        if self.image_done and (own or self.program_done):
            self.ready_at = self.now + self.compute

    def _compute(self):
        number, self.runs = self.runs, self.runs + 1
        own = bool(self.sources & Sources.PROGRAM)
        program, image = bytes(self.p.taken), bytes(self.i.taken)
        self.p.taken.clear()
        self.i.taken.clear()
        self.program_done = self.image_done = False
        shape = self.program.batch, *self.program.input_shape
        channels, lanes = shape[-1], self.configuration.post_lanes
        size = int(np.prod(shape[:3])) * -(-channels // lanes) * lanes
        if number in self.errors:
            self.error, self.layer = self.errors[number], 3
        elif not own and program != self.program_bytes:
            self.error = ErrorCode.CHECKSUM
        elif len(image) != size:
            self.error = ErrorCode.IMAGE_SHORT if len(image) < size else ErrorCode.IMAGE_LONG
        else:
            pixels = np.frombuffer(image, np.uint8).reshape(np.prod(shape[:3]), -1)
            assert not pixels[:, channels:].any(), "lanes without a channel must be 0"
            pixels = pixels[:, :channels].reshape(shape).view(self.model_network.input.type)
            self.images += list(pixels)
            result = infer(self.model_network, pixels).reshape(-1)
            order = self.program.result_order()
            beats = np.where(order >= 0, result[np.maximum(order, 0)], 0)
            self.pending = beats.astype("<i4").tobytes()

    def _missing(self):
        return bool(self.sources & Sources.PROGRAM) and not self.own_program

    # The link.

    def feed(self, data, now):
        """Bytes from the host; returns those to it."""
        out = b""
        for body in self.decoder.feed(data):
            self.advance(now)
            answer = self._answer(body)
            self.advance(now)
            if answer is not None:
                out += encode(answer)
            self.frames += 1
            if self.frames - 1 in self.restart_after:
                self.session = 0
                self.decoder = Decoder()
                self._begin(Sources(0))
                break
        return out

    def _answer(self, body):
        kind, session = HEADER.unpack_from(body)
        if kind == FrameType.HELLO and len(body) == HEADER.size:
            return self._info()
        if kind == FrameType.OPEN and len(body) == HEADER.size + 1:
            if session != self.session:
                self.session = session
                self.sessions += 1
                self._begin(Sources(body[2]))
            return self._status()
        if session != self.session or len(body) < HEADER.size + OFFSET.size:
            return None
        (offset,) = OFFSET.unpack_from(body, HEADER.size)
        data = body[HEADER.size + OFFSET.size :]
        if kind & ~1 == FrameType.PROGRAM and data:
            self.p.put(offset, data, bool(kind & 1))
        elif kind & ~1 == FrameType.IMAGE and data:
            self.i.put(offset, data, bool(kind & 1))
        elif kind == FrameType.RESULT and not data:
            return self._results(offset)
        else:
            return None
        return self._status()

    def _results(self, offset):
        forget = (offset - self.result_begin) % _MOD
        if forget <= len(self.result):
            del self.result[:forget]
            self.result_begin += forget
            self._drain()
            if data := bytes(self.result[:LONGEST_RESULT]):
                head = HEADER.pack(FrameType.RESULT_DATA, self.session)
                return head + OFFSET.pack(self.result_begin % _MOD) + data
        return self._status()

    def _info(self):
        c = self.configuration
        return HEADER.pack(FrameType.INFO, self.session) + INFO.pack(
            self.version, self.fingerprint, self.buffer, self.buffer, c.program_bits // 8,
            c.post_lanes, int(self.own_program), 12_000_000,
        ) + b"model"  # fmt: skip

    def _status(self):
        state = BoardState.RUNNING
        if self.state is not None:
            state = self.state
        elif self._missing():
            state = BoardState.NO_SOURCE
        elif self.error:
            state = BoardState.ERROR
        elif not (self.p.taken or self.i.taken or self.pending) and self.ready_at is None:
            state = BoardState.IDLE
        end = self.result_begin + len(self.result)
        return HEADER.pack(FrameType.STATUS, self.session) + STATUS.pack(
            state, self.error, self.layer, self.p.expected % _MOD, self.p.room,
            self.i.expected % _MOD, self.i.room, end % _MOD,
        )  # fmt: skip
