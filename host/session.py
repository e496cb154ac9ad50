"""One session: images go to the board, results come back, whatever happens on the line.

Pieces go out as long as the board has room, without waiting for answers. The board answers each
right frame of the session once and in order, so the n-th answer is for the n-th frame or a later
one: a piece that the board has not taken by then was lost, and is sent again at once with all
after it. Where answers stay away altogether, a time limit does the same.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hiddenite.link.protocol import (
    HEADER,
    OFFSET,
    OFFSET_MODULUS,
    STATUS,
    BoardState,
    FrameType,
    Info,
    Sources,
    Status,
)
from hiddenite.rtl.program.packets import ErrorCode

from .connection import LONGEST_FRAME, Connection
from .piece_stream import PieceStream

__all__ = ["Session", "SessionError"]

# Bytes in flight: what the line carries in 50 ms, which no adapter's delay exceeds.
_WINDOW_SECONDS = 0.05
_SMALLEST_WINDOW = 1024
# Questions while the board computes: at first at once, then more and more seldom.
_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01


class SessionError(Exception):
    """A session has come to nothing; with a new one the images can be sent again."""


@dataclass
class _Frame:
    """A frame whose answer has not come: its bytes; the stream of its piece, if it has one."""

    size: int
    stream: PieceStream | None
    end: int
    question: bool


class Session:
    """A session of a board, for some images.

    Parameters
    ----------
    connection : Connection
    info : Info
        What the board said of itself.
    program : bytes or None
        Bytes of the program; None if it comes from the board's memory.
    images : sequence of bytes
        The beats of each image.
    result_bytes : int
        Size of one result on the stream.
    patience : float
        Seconds without progress after which the session is given up for good.
    finished : callable
        Called with each result's bytes, in order.
    """

    def __init__(
        self,
        connection: Connection,
        info: Info,
        program: bytes | None,
        images: Sequence[bytes],
        result_bytes: int,
        patience: float,
        finished: Callable[[bytes], None],
    ) -> None:
        self.resent = 0
        self._connection = connection
        self._clock = connection.transport.clock
        self._sources = Sources.PROGRAM if program is None else Sources(0)
        self._program = PieceStream(
            FrameType.PROGRAM,
            FrameType.PROGRAM_LAST,
            [] if program is None else [program] * len(images),
            info.program_buffer,
            info.program_bytes,
        )
        self._image = PieceStream(
            FrameType.IMAGE, FrameType.IMAGE_LAST, images, info.image_buffer, info.post_lanes
        )
        self._result_bytes = result_bytes
        self._expected = result_bytes * len(images)
        self._patience = patience
        self._finished = finished
        self._result = bytearray()
        self._got = self._there = 0
        self._over = False
        self._layer: tuple[int, int] | None = None
        self._flying: deque[_Frame] = deque()
        self._window = max(_SMALLEST_WINDOW, int(connection.transport.baud / 10 * _WINDOW_SECONDS))
        self._silent = False
        self._pause = 0.0
        self._ask_at = self._answer_by = self._progress = 0.0

    def run(self) -> None:
        """Send everything and get everything.

        Raises
        ------
        SessionError
            The engine has stopped, the board has restarted, or it reports an inconsistent status.
        BoardError
            The board is silent, makes no progress, or does not have what the session needs.
        """
        status = self._connection.open(self._sources)
        self._progress = self._clock()
        self._learn(status)
        while not self._over:
            self._send()
            now = self._clock()
            limit = min(self._progress + self._patience, self._answer_by)
            if not self._flying:
                limit = min(limit, self._ask_at)
            for body in self._connection.receive(limit - now):
                self._take(body)
            self._check_time()

    def _send(self) -> None:
        """Send what may be sent now, all at once."""
        bodies, flying = [], sum(frame.size for frame in self._flying)
        while flying < self._window:
            stream, body = self._next()
            if body is None:
                break
            # Without escapes; one byte in 128 has one.
            size = len(body) + 6
            end = stream.sent if stream else 0
            self._flying.append(_Frame(size, stream, end, body[0] == FrameType.RESULT))
            flying += size
            bodies.append(body)
        if bodies:
            self._connection.send(bodies)
            self._expect_answer()

    def _next(self) -> tuple[PieceStream | None, bytes | None]:
        """The most useful frame: a question for results that are there, an image, a program."""
        session = self._connection.session
        if self._silent:
            # Who is there, before more is sent to nobody.
            if self._flying:
                return None, None
            return None, HEADER.pack(FrameType.HELLO, session)
        question = HEADER.pack(FrameType.RESULT, session) + OFFSET.pack(self._got % OFFSET_MODULUS)
        if self._there > self._got and not any(frame.question for frame in self._flying):
            return None, question
        for stream in (self._image, self._program):
            if (body := stream.piece(session)) is not None:
                return stream, body
        if not self._flying and self._clock() >= self._ask_at:
            return None, question
        return None, None

    def _take(self, body: bytes) -> None:
        """Take an answer."""
        frame_type, session = HEADER.unpack_from(body)
        if frame_type == FrameType.INFO and session != self._connection.session:
            if self._silent:
                raise SessionError("the board has restarted")
            return
        if session != self._connection.session:
            return
        fields = body[HEADER.size :]
        if frame_type == FrameType.STATUS:
            if len(fields) != STATUS.size:
                return
            self._learn(Status.unpack(body))
        elif frame_type == FrameType.RESULT_DATA and len(fields) > OFFSET.size:
            self._take_result(OFFSET.unpack_from(fields)[0], fields[OFFSET.size :])
        elif frame_type == FrameType.INFO:
            self._silent = False
        else:
            return
        # Before the answer to HELLO come those to frames that have been given up.
        if not self._silent:
            self._resolve()
            self._expect_answer()

    def _learn(self, status: Status) -> None:
        """Take what a status says."""
        if status.state == BoardState.NO_SOURCE:
            raise self._connection.error("the board has no program of its own")
        if status.state == BoardState.MEMORY:
            raise self._connection.error("what the board has in its memory is no program for it")
        if status.state == BoardState.ERROR:
            names = {code.value: code.name for code in ErrorCode}
            name = names.get(status.error, str(status.error))
            raise SessionError(f"the engine stopped with error {name} in layer {status.layer}")
        there = self._got + (status.result_end - self._got) % OFFSET_MODULUS
        if there > self._expected:
            raise SessionError("the engine's result is not one of this network")
        try:
            progress = self._program.update(status.program_offset, status.program_room)
            progress |= self._image.update(status.image_offset, status.image_room)
        except ValueError as error:
            raise SessionError(f"the board reports an inconsistent status: {error}") from None
        progress |= there > self._there or (status.state, status.layer) != self._layer
        self._there = max(self._there, there)
        self._layer = status.state, status.layer
        sent = self._program.done and self._image.done
        # With a program of its own the engine may already wait for the next image.
        rest = status.state == BoardState.IDLE or self._sources & Sources.PROGRAM
        self._over = bool(sent and rest and self._got == self._there == self._expected)
        if progress:
            self._has_progress()
        else:
            self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self._pause))
            self._ask_at = self._clock() + self._pause

    def _take_result(self, offset: int, data: bytes) -> None:
        if offset != self._got % OFFSET_MODULUS:
            return
        if self._got + len(data) > self._expected:
            raise SessionError("the engine's result is not one of this network")
        self._got += len(data)
        self._there = max(self._there, self._got)
        self._result += data
        while len(self._result) >= self._result_bytes:
            self._finished(bytes(self._result[: self._result_bytes]))
            del self._result[: self._result_bytes]
        self._has_progress()

    def _resolve(self) -> None:
        """Strike off the frames that this answer settles; go back to one that was lost."""
        settled = 1
        for number, frame in enumerate(self._flying, 1):
            if frame.stream is not None and frame.end <= frame.stream.taken:
                settled = number
        lost = set()
        for _ in range(min(settled, len(self._flying))):
            frame = self._flying.popleft()
            if frame.stream is not None and frame.end > frame.stream.taken:
                lost.add(frame.stream)
        for stream in lost:
            self._go_back(stream)

    def _go_back(self, stream: PieceStream) -> None:
        self.resent += stream.sent - stream.taken
        stream.go_back()
        # The board drops those after the lost one too; that says nothing of what is sent now.
        for frame in self._flying:
            if frame.stream is stream:
                frame.stream = None

    def _has_progress(self) -> None:
        self._progress = self._clock()
        self._pause = self._ask_at = 0.0

    def _expect_answer(self) -> None:
        flying = sum(frame.size for frame in self._flying)
        connection = self._connection
        time = connection.line_time(flying + LONGEST_FRAME)
        self._answer_by = self._clock() + connection.margin + time

    def _check_time(self) -> None:
        now = self._clock()
        if now >= self._progress + self._patience:
            what = "has not answered" if self._silent else "has made no progress"
            raise self._connection.error(f"the board {what} for {self._patience:.3g} s")
        if self._flying and now >= self._answer_by:
            self._flying.clear()
            self._silent = True
            for stream in (self._program, self._image):
                self._go_back(stream)
