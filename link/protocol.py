"""What goes over the wire (docs/link.md): constants for both ends, and frames in pure Python.

::

    0x7E  body  CRC-32  0x7E

A body is a header (type, session) and fields, least significant byte first.
"""

import enum
import struct
import zlib
from typing import NamedTuple

__all__ = [
    "CHECKSUM_BYTES",
    "DEFAULT_BAUD",
    "ESCAPE",
    "ESCAPE_XOR",
    "FLAG",
    "HEADER",
    "INFO",
    "LONGEST_BODY",
    "LONGEST_NAME",
    "LONGEST_PIECE",
    "LONGEST_RESULT",
    "OFFSET",
    "OFFSET_MODULUS",
    "PIECE_SHARE",
    "SOURCES",
    "STATUS",
    "VERSION",
    "BoardState",
    "Decoder",
    "FrameType",
    "Info",
    "Sources",
    "Status",
    "encode",
]

VERSION = 2
"""Version of the protocol, in every INFO."""

DEFAULT_BAUD = 1_000_000

FLAG = 0x7E
ESCAPE = 0x7D
ESCAPE_XOR = 0x20
CHECKSUM_BYTES = 4

LONGEST_BODY = 261
LONGEST_PIECE = 256
"""Bytes of a program or an image in one frame."""
PIECE_SHARE = 4
"""A board takes pieces of this part of its buffer."""
LONGEST_RESULT = 63
"""Bytes of a result in one frame."""
LONGEST_NAME = 32

OFFSET_MODULUS = 1 << 16
"""Offsets count bytes since the session was opened, modulo this."""

HEADER = struct.Struct("<BB")
"""Type, session."""
SOURCES = struct.Struct("<B")
"""What OPEN has after its header."""
OFFSET = struct.Struct("<H")
"""What PROGRAM, IMAGE and RESULT have after their header; bytes follow it."""
INFO = struct.Struct("<BIHHBBBI")
"""What INFO has after its header; the board's name follows it."""
STATUS = struct.Struct("<BBHHHHHH")
"""What STATUS has after its header."""


class FrameType(enum.IntEnum):
    """First byte of a body."""

    HELLO = 0x01
    OPEN = 0x02
    PROGRAM = 0x10
    PROGRAM_LAST = 0x11
    """The piece ends the program."""
    IMAGE = 0x20
    IMAGE_LAST = 0x21
    """The piece ends the image."""
    RESULT = 0x30
    """From the host: how much of the result it has."""
    INFO = 0x81
    STATUS = 0x82
    RESULT_DATA = 0x83
    """RESULT from the board: bytes of the result."""


class Sources(enum.IntFlag):
    """What comes from the board's own memory."""

    PROGRAM = 1
    IMAGE = 2


class BoardState(enum.IntEnum):
    """State in a STATUS: the engine's, or why the board has nothing to run."""

    IDLE = 0
    RUNNING = 1
    ERROR = 2
    NO_SOURCE = 3
    """The session asks for a source that the board does not have."""
    MEMORY = 4
    """What is in the board's memory is no program, or no image."""


class Info(NamedTuple):
    """Fields of an INFO."""

    version: int
    fingerprint: int
    program_buffer: int
    image_buffer: int
    program_bytes: int
    post_lanes: int
    sources: int
    clock_hz: int
    name: str

    @classmethod
    def unpack(cls, body: bytes) -> "Info":
        """Fields of a whole body.

        Raises
        ------
        ValueError
            The body is too short or too long, or its name is not 1 to 32 characters of ASCII.
        """
        name = body[HEADER.size + INFO.size :]
        if not 1 <= len(name) <= LONGEST_NAME or not name.isascii():
            raise ValueError(f"INFO: name must be 1 to {LONGEST_NAME} characters, not {name!r}")
        return cls._make((*INFO.unpack_from(body, HEADER.size), name.decode("ascii")))


class Status(NamedTuple):
    """Fields of a STATUS."""

    state: int
    error: int
    layer: int
    program_offset: int
    program_room: int
    image_offset: int
    image_room: int
    result_end: int

    @classmethod
    def unpack(cls, body: bytes) -> "Status":
        """Fields of a whole body.

        Raises
        ------
        ValueError
            The body is too short or too long.
        """
        if len(body) != HEADER.size + STATUS.size:
            raise ValueError(f"STATUS: must be {HEADER.size + STATUS.size} bytes, not {len(body)}")
        return cls(*STATUS.unpack_from(body, HEADER.size))


def encode(body: bytes) -> bytes:
    """Frame around a body, with both its flags.

    Raises
    ------
    ValueError
        The body is shorter than a header or longer than `LONGEST_BODY`.
    """
    if not HEADER.size <= len(body) <= LONGEST_BODY:
        raise ValueError(f"a body must be {HEADER.size} to {LONGEST_BODY} bytes, not {len(body)}")
    frame = bytearray([FLAG])
    for byte in body + zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "little"):
        frame += bytes([ESCAPE, byte ^ ESCAPE_XOR]) if byte in (FLAG, ESCAPE) else bytes([byte])
    frame.append(FLAG)
    return bytes(frame)


class Decoder:
    """Finds right frames in bytes that come in pieces of any size; drops everything else.

    Attributes
    ----------
    dropped : int
        Frames dropped so far; empty ones do not count.
    """

    # Escapes at most double the bytes: one more than this is too long whatever comes after it.
    _MOST = 2 * (LONGEST_BODY + CHECKSUM_BYTES) + 1

    def __init__(self) -> None:
        self.dropped = 0
        self._begun = b""

    def feed(self, received: bytes) -> list[bytes]:
        """Bodies of the right frames that these bytes end, in order."""
        *frames, begun = (self._begun + received).split(bytes([FLAG]))
        self._begun = begun[: self._MOST]
        bodies = [_checked(frame) for frame in frames if frame]
        right = [body for body in bodies if body is not None]
        self.dropped += len(bodies) - len(right)
        return right


def _checked(frame: bytes) -> bytes | None:
    """Body of what stood between two flags; None if it is no right frame."""
    pieces = frame.split(bytes([ESCAPE]))
    if not all(pieces[1:]):
        return None  # An escape escapes nothing, or another escape.
    whole = pieces[0] + b"".join(bytes([piece[0] ^ ESCAPE_XOR]) + piece[1:] for piece in pieces[1:])
    body, checksum = whole[:-CHECKSUM_BYTES], whole[-CHECKSUM_BYTES:]
    if not HEADER.size <= len(body) <= LONGEST_BODY:
        return None
    return body if zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "little") == checksum else None
