"""Frames over a transport: who is there, and the beginning of a session."""

import random
from collections.abc import Callable
from typing import TypeVar

from hiddenite.golden.errors import InputError
from hiddenite.link.protocol import (
    CHECKSUM_BYTES,
    HEADER,
    LONGEST_BODY,
    SOURCES,
    VERSION,
    Decoder,
    FrameType,
    Info,
    Sources,
    Status,
    encode,
)

from .transport import Transport, TransportError

__all__ = ["BoardError", "Connection"]

LONGEST_FRAME = 2 * (LONGEST_BODY + CHECKSUM_BYTES) + 2
_SESSIONS = 256
_OPENINGS = 3
_BITS_OF_A_BYTE = 10

_Answer = TypeVar("_Answer")


class BoardError(RuntimeError):
    """A board did not bring a result. The message is one line: the port, what happened, when."""


class Connection:
    """Sends and receives frames.

    Parameters
    ----------
    transport : Transport
        The line.
    limit : float
        Seconds without an answer after which a board counts as silent.
    margin : float
        Seconds that an answer may take beyond the time of its bytes on the line, after which it
        counts as lost.

    Attributes
    ----------
    session : int
        The current session, 0 if none has been opened.
    bytes_sent, bytes_received : int
        On the line, both flags of each frame included.
    """

    def __init__(self, transport: Transport, limit: float, margin: float) -> None:
        self.transport = transport
        self.limit = limit
        self.margin = margin
        self.session = 0
        self.bytes_sent = self.bytes_received = 0
        self._decoder = Decoder()
        self._random = random.SystemRandom()

    def send(self, bodies: list[bytes]) -> int:
        """Send frames; returns how many bytes they are."""
        data = b"".join(map(encode, bodies))
        try:
            self.transport.write(data)
        except TransportError as error:
            raise self.error(str(error)) from None
        self.bytes_sent += len(data)
        return len(data)

    def receive(self, timeout: float) -> list[bytes]:
        """Return the bodies that have come; waits for the first bytes, up to a time in seconds."""
        try:
            data = self.transport.read(max(0.0, timeout))
        except TransportError as error:
            raise self.error(str(error)) from None
        self.bytes_received += len(data)
        return self._decoder.feed(data)

    def error(self, what: str) -> BoardError:
        """Return an error that names the port."""
        return BoardError(f"{self.transport.name}: {what}")

    def line_time(self, count: int) -> float:
        """Return the seconds that bytes take on the line."""
        return count * _BITS_OF_A_BYTE / self.transport.baud

    def hello(self) -> Info:
        """Ask who is there.

        Raises
        ------
        InputError
            Nobody, or somebody who speaks otherwise.
        """
        body = HEADER.pack(FrameType.HELLO, self.session)
        before = self.bytes_received
        answer = self._ask(body, self._info)
        if answer is not None:
            return answer[1]
        name, baud = self.transport.name, self.transport.baud
        if self.bytes_received == before:
            raise InputError(f"{name}: no board answers at {baud:,} baud within {self.limit:g} s")
        raise InputError(
            f"{name}: what answers is no board, or does not run at {baud:,} baud: no right frame"
            f" within {self.limit:g} s"
        )

    def open(self, sources: Sources) -> Status:
        """Begin a session of a new number; the engine is reset and all buffers are empty.

        Raises
        ------
        BoardError
            The board does not answer any more.
        """
        body = HEADER.pack(FrameType.HELLO, self.session)
        for _ in range(_OPENINGS):
            found = self._ask(body, self._info)
            if found is None:
                raise self.error(f"the board has not answered for {self.limit:g} s")
            used = {0, self.session, found[0]}
            self.session = self._random.choice([n for n in range(_SESSIONS) if n not in used])
            opening = HEADER.pack(FrameType.OPEN, self.session) + SOURCES.pack(sources)
            status = self._ask(opening, self._status)
            if status is not None and not (status.program_offset or status.image_offset):
                return status
        raise self.error("the board begins no session")

    def _ask(self, body: bytes, read: Callable[[bytes], _Answer | None]) -> _Answer | None:
        """Send a frame until an answer comes that `read` accepts; None if none does."""
        clock = self.transport.clock
        end = clock() + self.limit
        wait = self.margin + self.line_time(2 * LONGEST_FRAME)
        while clock() < end:
            self.send([body])
            again = min(end, clock() + wait)
            while (left := again - clock()) > 0:
                for answer in self.receive(left):
                    if (found := read(answer)) is not None:
                        return found
        return None

    def _info(self, body: bytes) -> tuple[int, Info] | None:
        frame_type, session = HEADER.unpack_from(body)
        if frame_type != FrameType.INFO:
            return None
        # Only the first field is the same in all versions.
        version = body[HEADER.size] if len(body) > HEADER.size else 0
        if version != VERSION:
            raise InputError(
                f"{self.transport.name}: the board speaks version {version} of the protocol,"
                f" this program version {VERSION}"
            )
        try:
            return session, Info.unpack(body)
        except ValueError:
            return None

    def _status(self, body: bytes) -> Status | None:
        if HEADER.unpack_from(body) != (FrameType.STATUS, self.session):
            return None
        try:
            return Status.unpack(body)
        except ValueError:
            return None
