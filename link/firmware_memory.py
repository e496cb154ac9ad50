"""Where the link's firmware has its buffers and variables."""

import enum

from .instructions import DIRECT_PAGE, Assembler
from .protocol import HEADER, OFFSET, STATUS

__all__ = [
    "DIRECT",
    "IMAGE_BUFFER",
    "IMAGE_PAGE",
    "INFO",
    "LONGEST_PIECE",
    "PIECE",
    "PROGRAM_BUFFER",
    "RESULT_BUFFER",
    "RESULT_PAGE",
    "Answer",
    "FirmwareMemory",
]

# Pages 0 and 1 are the ring of the program, page 2 that of the image, page 3 begins with that of
# the result, then INFO, and ends with the direct page.
PROGRAM_BUFFER, IMAGE_BUFFER, RESULT_BUFFER = 511, 255, 63
"""Bytes that a ring holds."""
IMAGE_PAGE, RESULT_PAGE = 2, 3
INFO = 64
"""Where the fields of INFO lie in their page."""
DIRECT = DIRECT_PAGE % 256
"""Where the direct page lies in its page."""
LONGEST_PIECE = 128
"""Bytes of a piece that the board takes, a power of two; hosts send a quarter of a buffer."""
PIECE = HEADER.size + OFFSET.size
"""Where the bytes of a piece begin in a body."""


class Answer(enum.IntEnum):
    """What the board is to answer."""

    NONE = 0
    STATUS = 1
    INFORMATION = 2
    RESULT = 3


class FirmwareMemory:
    """Variables, numbers of bytes in the direct page.

    Parameters
    ----------
    assembler : Assembler
    info : bytes
        Fields of an INFO, and the name.

    Attributes
    ----------
    body, session : the body that is sent: HEADER and STATUS; the session in its header
    header : the header that is received, and the offset of a piece
    count, limit, length : bytes that have been received of a body; where the room for it ends;
        bytes of the body that has ended, without its CRC
    write, write_page : where the next byte of a piece goes
    own, flash_own : sources of the session; those that the flash has
    fault : state that a STATUS tells in place of the engine's, or 0
    busy : the first thread has something to do without a new event
    program_offset, image_offset : bytes since the session began, two bytes each
    program_fill, image_fill : bytes in the ring; two bytes for the program
    program_tail, program_page, image_tail : where the ring's oldest byte lies
    program_closed, image_closed : the ring ends with the last byte of a program, of an image
    result_begin, result_end : offsets of the ring's first byte and behind its last one, two bytes
    result_used : bytes in the ring
    zeros : what a session begins with, zeros all
    answer : the `Answer` that waits
    left, at : bytes of the body that are still to be sent, and where
    rest_left, rest_at, rest_mask : the same of what follows from a ring or from INFO
    """

    def __init__(self, assembler: Assembler, info: bytes):
        a = assembler
        assert INFO + len(info) <= DIRECT
        a.place(RESULT_PAGE * 256 + INFO, info)
        self.body = a.variables(HEADER.size + STATUS.size)
        self.session = self.body + 1
        self.header = a.variables(PIECE)
        self.count, self.limit, self.length = (a.variables() for _ in range(3))
        self.write, self.write_page = a.variables(), a.variables()
        self.own, self.flash_own, self.fault = (a.variables() for _ in range(3))
        self.busy = a.variables()
        first_zero = a.variables(2)
        self.program_offset = first_zero
        self.program_fill, self.image_offset = a.variables(2), a.variables(2)
        self.program_tail, self.program_page = a.variables(), a.variables()
        self.image_fill, self.image_tail = a.variables(), a.variables()
        self.result_end, self.result_begin = a.variables(2), a.variables(2)
        self.result_used = a.variables()
        self.program_closed, self.image_closed = a.variables(), a.variables()
        self.zeros = range(first_zero, self.image_closed + 1)
        self.answer = a.variables()
        self.left, self.at = a.variables(), a.variables()
        self.rest_left, self.rest_at, self.rest_mask = (a.variables() for _ in range(3))
