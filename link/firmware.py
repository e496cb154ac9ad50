"""Firmware of the link: requests, buffers, sessions and answers (docs/link.md).

The first thread takes what has been received, sends answers, and moves bytes between its buffers
and the engine; where there is a flash, the second one (`flash_firmware`) reads it.
"""

from .flash_firmware import Flash, FlashFirmware
from .instructions import DIRECT_PAGE, Assembler, Condition, Destination, Source
from .protocol import (
    CHECKSUM_BYTES,
    HEADER,
    OFFSET,
    SOURCES,
    STATUS,
    BoardState,
    FrameType,
    Sources,
)

__all__ = ["IMAGE_BUFFER", "LONGEST_PIECE", "PROGRAM_BUFFER", "RESULT_BUFFER", "Firmware"]

# The memory: pages 0 and 1 are the ring of the program, page 2 that of the image, page 3 begins
# with that of the result, then INFO, and ends with the direct page.
PROGRAM_BUFFER, IMAGE_BUFFER, RESULT_BUFFER = 511, 255, 63
LONGEST_PIECE = 128
"""Bytes of a piece that the board takes, a power of two; hosts send a quarter of a buffer."""
_IMAGE_PAGE, _RESULT_PAGE = 2, 3
_INFO = 64
_DIRECT = DIRECT_PAGE % 256
_PIECE = HEADER.size + OFFSET.size
"""Where the bytes of a piece begin in a body."""
_STATUS, _INFORMATION, _RESULT = 1, 2, 3


class Firmware:
    """Code and memory of the `Controller`.

    Parameters
    ----------
    info : bytes
        Fields of an INFO, and the name.
    sources : Sources
        What the board has in its own memory.
    first : Sources
        What it uses until a session is opened.
    flash : Flash or None

    Attributes
    ----------
    code, memory, first, second
        What the controller is made of.
    """

    def __init__(
        self,
        info: bytes,
        sources: Sources,
        first: Sources,
        flash: Flash | None,
    ):
        self._a = a = Assembler()
        self._sources, self._boot, self._info_bytes = sources, first, len(info)
        self._flash, self._flash_sources = flash, flash.sources if flash else 0
        assert _INFO + len(info) <= _DIRECT
        a.place(_RESULT_PAGE * 256 + _INFO, info)
        # The body that is sent: HEADER and STATUS.
        self._body = a.variables(HEADER.size + STATUS.size)
        self._session = self._body + 1
        # The header that is received, and what may be written of a body before room ends.
        self._header = a.variables(_PIECE)
        self._count, self._limit, self._length = (a.variables() for _ in range(3))
        self._write, self._write_page = a.variables(), a.variables()
        self._own, self.flash_own, self.fault = (a.variables() for _ in range(3))
        self.busy = a.variables()
        # What a session begins with, zeros all.
        first_zero = a.variables(2)
        self._program_offset = first_zero
        self._program_fill, self._image_offset = a.variables(2), a.variables(2)
        self._program_tail, self._program_page = a.variables(), a.variables()
        self._image_fill, self._image_tail = a.variables(), a.variables()
        self._result_end, self._result_begin = a.variables(2), a.variables(2)
        self._result_used = a.variables()
        self._program_closed, self._image_closed = a.variables(), a.variables()
        self._zeros = range(first_zero, self._image_closed + 1)
        # The answer that waits, and the one that is sent: bytes of its body, then of the result.
        self._answer = a.variables()
        self._left, self._at = a.variables(), a.variables()
        self._rest_left, self._rest_at, self._rest_mask = (a.variables() for _ in range(3))
        self._boot_code()
        self._main()
        self._send()
        self._feed_program()
        self._feed_image()
        self._take_result()
        self._rest()
        self._receive()
        self._end()
        self._open()
        if self._flash:
            FlashFirmware(a, self, flash)
        self.code, self.memory = a.finish()
        self.first = a.address("boot")
        self.second = a.address("flash" if self._flash else "boot")

    def _boot_code(self) -> None:
        a = self._a
        a.label("boot")
        for at in (self._session, self._count, self._answer, self._left, self._rest_left):
            a.clear(at)
        a.load_constant(self._boot)
        a.store(self._own)
        a.jump("begin")

    def _main(self) -> None:
        """Do one thing after another; a byte must be received before the next one has come."""
        a = self._a
        a.label("main")
        if self._flash:
            a.switch()
        a.jump_if(Condition.RECEIVED, "received")
        a.jump_if(Condition.ENDED, "ended")

    # Answers.

    def _send(self) -> None:
        a = self._a
        a.jump_unless(Condition.CAN_SEND, "feed program")
        a.load(self._left)
        a.jump_unless(Condition.ZERO, "send body")
        a.load(self._rest_left)
        a.jump_unless(Condition.ZERO, "send result")
        a.load(self._answer)
        a.jump_if(Condition.ZERO, "feed program")
        a.clear(self._answer)
        for name in ("status", "info"):
            a.subtract(a.constant(1))
            a.jump_if(Condition.ZERO, f"answer {name}")

        # RESULT.
        self._begin_body(FrameType.RESULT_DATA, HEADER.size + OFFSET.size)
        for n in range(2):
            self._copy(self._result_begin + n, self._body + 2 + n)
        self._copy(self._result_begin, self._rest_at)
        self._copy(self._result_used, self._rest_left)
        a.load_constant(RESULT_BUFFER)
        a.store(self._rest_mask)
        a.jump("main")

        a.label("answer info")
        self._begin_body(FrameType.INFO, HEADER.size)
        for value, at in (
            (_INFO, self._rest_at),
            (self._info_bytes, self._rest_left),
            (0xFF, self._rest_mask),
        ):
            a.load_constant(value)
            a.store(at)
        a.jump("main")

        a.label("answer status")
        self._begin_body(FrameType.STATUS, HEADER.size + STATUS.size)
        fields = self._body + HEADER.size
        a.load(self.fault)
        a.jump_unless(Condition.ZERO, "state")
        a.take(Source.STATE)
        a.label("state")
        a.store(fields)
        for n, source in enumerate((Source.ERROR, Source.LAYER_LOW, Source.LAYER_HIGH), 1):
            a.take(source)
            a.store(fields + n)
        for n in range(2):
            self._copy(self._program_offset + n, fields + 4 + n)
            self._copy(self._image_offset + n, fields + 8 + n)
            self._copy(self._result_end + n, fields + 12 + n)
            # No room as long as the end of a program or an image is in the buffer.
            a.clear(fields + 6 + n)
            a.clear(fields + 10 + n)
        a.load(self._program_closed)
        a.jump_unless(Condition.ZERO, "no program room")
        for n in range(2):
            a.load_constant(PROGRAM_BUFFER >> 8 * n)
            a.subtract(self._program_fill + n)
            a.store(fields + 6 + n)
        a.label("no program room")
        a.load(self._image_closed)
        a.jump_unless(Condition.ZERO, "main")
        a.load_constant(IMAGE_BUFFER)
        a.subtract(self._image_fill)
        a.store(fields + 10)
        a.jump("main")

        a.label("send body")
        self._decrease(self._left)
        self._set_page(_RESULT_PAGE)
        a.load(self._left)
        a.jump_unless(Condition.ZERO, "not last")
        a.load(self._rest_left)
        a.jump_unless(Condition.ZERO, "not last")
        a.load(self._at)
        a.fetch(Destination.SEND_LAST)
        a.jump("main")
        a.label("not last")
        a.load(self._at)
        a.fetch(Destination.SEND)
        self._increase(self._at)
        a.jump("main")

        a.label("send result")
        self._decrease(self._rest_left)
        self._set_page(_RESULT_PAGE)
        a.load(self._rest_left)
        a.jump_if(Condition.ZERO, "result ends")
        a.load(self._rest_at)
        a.mask(self._rest_mask)
        a.fetch(Destination.SEND)
        self._increase(self._rest_at)
        a.jump("main")
        a.label("result ends")
        a.load(self._rest_at)
        a.mask(self._rest_mask)
        a.fetch(Destination.SEND_LAST)
        a.jump("main")

    def _begin_body(self, frame_type: FrameType, size: int) -> None:
        a = self._a
        a.load_constant(frame_type)
        a.store(self._body)
        a.load_constant(_DIRECT + self._body)
        a.store(self._at)
        a.load_constant(size)
        a.store(self._left)

    # Streams.

    def _feed_program(self) -> None:
        a = self._a
        low, high = self._program_fill, self._program_fill + 1
        a.label("feed program")
        a.jump_unless(Condition.PROGRAM_READY, "feed image")
        a.load(low)
        a.jump_unless(Condition.ZERO, "some program")
        a.load(high)
        a.jump_if(Condition.ZERO, "feed image")
        a.label("some program")
        self._decrease(low)
        a.jump_if(Condition.CARRY, "program taken")
        a.add_to(high)
        a.label("program taken")
        a.load(self._program_page)
        a.give(Destination.PAGE)
        a.load(self._program_closed)
        a.jump_if(Condition.ZERO, "program goes on")
        a.load(low)
        a.jump_unless(Condition.ZERO, "program goes on")
        a.load(high)
        a.jump_unless(Condition.ZERO, "program goes on")
        a.clear(self._program_closed)
        a.load(self._program_tail)
        a.fetch(Destination.PROGRAM_LAST)
        a.jump("next of program")
        a.label("program goes on")
        a.load(self._program_tail)
        a.fetch(Destination.PROGRAM)
        a.label("next of program")
        self._increase(self._program_tail)
        a.jump_unless(Condition.CARRY, "main")
        a.subtract(self._program_page)
        a.store(self._program_page)
        a.jump("main")

    def _feed_image(self) -> None:
        a = self._a
        a.label("feed image")
        a.jump_unless(Condition.IMAGE_READY, "take result")
        a.load(self._image_fill)
        a.jump_if(Condition.ZERO, "take result")
        self._set_page(_IMAGE_PAGE)
        self._decrease(self._image_fill)
        a.load(self._image_closed)
        a.jump_if(Condition.ZERO, "image goes on")
        a.load(self._image_fill)
        a.jump_unless(Condition.ZERO, "image goes on")
        a.clear(self._image_closed)
        a.load(self._image_tail)
        a.fetch(Destination.IMAGE_LAST)
        a.jump("next of image")
        a.label("image goes on")
        a.load(self._image_tail)
        a.fetch(Destination.IMAGE)
        a.label("next of image")
        self._increase(self._image_tail)
        a.jump("main")

    def _take_result(self) -> None:
        a = self._a
        a.label("take result")
        a.jump_unless(Condition.RESULT, "rest")
        a.load(self._result_used)
        a.subtract(a.constant(RESULT_BUFFER))
        a.jump_if(Condition.ZERO, "rest")
        self._set_page(_RESULT_PAGE)
        a.load(self._result_end)
        a.mask(a.constant(RESULT_BUFFER))
        a.put(Source.RESULT)
        self._increase(self._result_used)
        a.add_to(self._result_end)
        a.jump_unless(Condition.CARRY, "main")
        a.add_to(self._result_end + 1)
        a.jump("main")

    def _rest(self) -> None:
        """Say that nothing is left to be done before the next event."""
        a = self._a
        a.label("rest")
        if self._flash:
            for at in (
                self._answer,
                self._left,
                self._rest_left,
                self._program_fill,
                self._program_fill + 1,
                self._image_fill,
            ):
                a.load(at)
                a.jump_unless(Condition.ZERO, "main")
            a.clear(self.busy)
        a.jump("main")

    # Requests.

    def _receive(self) -> None:
        """Keep a byte of the header, or write one of a piece or its CRC behind what is there."""
        a, header = self._a, self._header
        a.label("received")
        a.load(self._count)
        a.subtract(a.constant(_PIECE))
        a.jump_if(Condition.CARRY, "piece")
        self._set_page(_RESULT_PAGE)
        a.load(self._count)
        a.add(a.constant(_DIRECT + header))
        a.put(Source.RECEIVED)
        self._increase(self._count)
        a.load(self._count)
        a.subtract(a.constant(_PIECE))
        a.jump_unless(Condition.ZERO, "main")

        a.clear(self._limit)
        a.load(header)
        a.mask(a.constant(0xFE))
        a.subtract(a.constant(FrameType.PROGRAM))
        a.jump_if(Condition.ZERO, "program begins")
        a.subtract(a.constant(FrameType.IMAGE - FrameType.PROGRAM))
        a.jump_unless(Condition.ZERO, "main")

        a.load(self._own)
        a.mask(a.constant(Sources.IMAGE))
        a.jump_unless(Condition.ZERO, "main")
        a.load(self._image_closed)
        a.jump_unless(Condition.ZERO, "main")
        self._copy(self._image_offset, self._write)
        a.load_constant(_IMAGE_PAGE)
        a.store(self._write_page)
        a.load_constant(IMAGE_BUFFER)
        a.subtract(self._image_fill)
        a.jump("room")

        a.label("program begins")
        a.load(self._own)
        a.mask(a.constant(Sources.PROGRAM))
        a.jump_unless(Condition.ZERO, "main")
        a.load(self._program_closed)
        a.jump_unless(Condition.ZERO, "main")
        self._copy(self._program_offset, self._write)
        a.load(self._program_offset + 1)
        a.mask(a.constant(1))
        a.store(self._write_page)
        a.load(self._program_fill + 1)
        a.jump_if(Condition.ZERO, "much room")
        a.load_constant(PROGRAM_BUFFER)
        a.subtract(self._program_fill)
        a.label("room")
        a.store(self._limit)
        a.mask(a.constant(LONGEST_PIECE))
        a.jump_unless(Condition.ZERO, "much room")
        a.load_constant(_PIECE)
        a.add_to(self._limit)
        a.jump("main")
        a.label("much room")
        a.load_constant(_PIECE + LONGEST_PIECE)
        a.store(self._limit)
        a.jump("main")

        a.label("piece")
        a.load(self._count)
        a.subtract(self._limit)
        a.jump_if(Condition.CARRY, "no room")
        a.load(self._write_page)
        a.give(Destination.PAGE)
        a.load(self._write)
        a.put(Source.RECEIVED)
        self._increase(self._count)
        a.add_to(self._write)
        a.jump_unless(Condition.CARRY, "main")
        # The pages of the program follow each other, that of the image itself.
        a.load(self._write_page)
        a.subtract(a.constant(_IMAGE_PAGE))
        a.jump_if(Condition.ZERO, "main")
        a.load_constant(1)
        a.subtract(self._write_page)
        a.store(self._write_page)
        a.jump("main")
        a.label("no room")
        a.take(Source.RECEIVED)
        self._increase(self._count)
        a.jump_unless(Condition.CARRY, "main")
        # Far too long, and so it stays.
        a.load_constant(-1)
        a.store(self._count)
        a.jump("main")

    def _end(self) -> None:
        """Act on what has come before a flag."""
        a, header = self._a, self._header
        a.label("ended")
        a.load(self._count)
        a.subtract(a.constant(CHECKSUM_BYTES))
        a.store(self._length)
        a.clear(self._count)
        # A frame is dropped if an answer waits.
        a.load(self._answer)
        a.jump_unless(Condition.ZERO, "drop")
        a.jump_if(Condition.RIGHT, "right")
        a.label("drop")
        a.give(Destination.RECEIVE)
        a.jump("main")

        a.label("right")
        a.give(Destination.RECEIVE)
        a.load(header)
        a.subtract(a.constant(FrameType.HELLO))
        a.jump_if(Condition.ZERO, "hello")
        a.subtract(a.constant(FrameType.OPEN - FrameType.HELLO))
        a.jump_if(Condition.ZERO, "open")
        a.load(header + 1)
        a.subtract(self._session)
        a.jump_unless(Condition.ZERO, "main")
        a.load(header)
        a.subtract(a.constant(FrameType.RESULT))
        a.jump_if(Condition.ZERO, "result")
        # A piece, if its length and type are right; `length` becomes its own.
        a.load(self._length)
        a.subtract(a.constant(_PIECE + LONGEST_PIECE + 1))
        a.jump_if(Condition.CARRY, "main")
        a.load_constant(-_PIECE)
        a.add_to(self._length)
        a.jump_unless(Condition.CARRY, "main")
        a.jump_if(Condition.ZERO, "main")
        a.load(header)
        a.mask(a.constant(0xFE))
        a.subtract(a.constant(FrameType.PROGRAM))
        a.jump_if(Condition.ZERO, "program piece")
        a.subtract(a.constant(FrameType.IMAGE - FrameType.PROGRAM))
        a.jump_unless(Condition.ZERO, "main")
        self._commit(self._image_offset, self._image_fill, self._image_closed, "image")
        a.jump("answer with status")
        a.label("program piece")
        self._commit(self._program_offset, self._program_fill, self._program_closed, "program")
        a.jump_unless(Condition.CARRY, "answer with status")
        self._increase(self._program_fill + 1)
        a.jump("answer with status")

        # The host has what comes before an offset.
        a.label("result")
        a.load(self._length)
        a.subtract(a.constant(_PIECE))
        a.jump_unless(Condition.ZERO, "main")
        a.load(header + 2)
        a.subtract(self._result_begin)
        a.store(self._write)
        a.load(header + 3)
        a.subtract_carry(self._result_begin + 1)
        a.jump_unless(Condition.ZERO, "answer with status")
        a.load(self._result_used)
        a.subtract(self._write)
        a.jump_unless(Condition.CARRY, "answer with status")
        a.store(self._result_used)
        a.load(self._write)
        a.add_to(self._result_begin)
        a.jump_unless(Condition.CARRY, "released")
        self._increase(self._result_begin + 1)
        a.label("released")
        a.load(self._result_used)
        a.jump_if(Condition.ZERO, "answer with status")
        a.load_constant(_RESULT)
        a.jump("answer")

        a.label("hello")
        a.load(self._length)
        a.subtract(a.constant(HEADER.size))
        a.jump_unless(Condition.ZERO, "main")
        a.load_constant(_INFORMATION)
        a.jump("answer")

        a.label("answer with status")
        a.load_constant(_STATUS)
        a.label("answer")
        a.store(self._answer)
        a.store(self.busy)
        a.jump("main")

    def _commit(self, offset: int, fill: int, closed: int, name: str) -> None:
        """Take a piece that has found room, if it is the one that is expected; leaves the carry of
        the fill."""
        a, header = self._a, self._header
        a.load(self._length)
        a.add(a.constant(_PIECE - 1))
        a.subtract(self._limit)
        a.jump_if(Condition.CARRY, "answer with status")
        for n in range(2):
            a.load(header + 2 + n)
            a.subtract(offset + n)
            a.jump_unless(Condition.ZERO, "answer with status")
        a.load(header)
        a.mask(a.constant(1))
        a.store(closed)
        a.load(self._length)
        a.add_to(offset)
        a.jump_unless(Condition.CARRY, f"{name} offset")
        self._increase(offset + 1)
        a.label(f"{name} offset")
        a.load(self._length)
        a.add_to(fill)

    # Sessions.

    def _open(self) -> None:
        a, header = self._a, self._header
        a.label("open")
        a.load(self._length)
        a.subtract(a.constant(HEADER.size + SOURCES.size))
        a.jump_unless(Condition.ZERO, "main")
        a.load(header + 1)
        a.subtract(self._session)
        a.jump_if(Condition.ZERO, "answer with status")
        a.give(Destination.HOST)
        self._copy(header + 1, self._session)
        self._copy(header + 2, self._own)
        a.load_constant(_STATUS)
        a.store(self._answer)
        a.store(self.busy)
        a.label("begin")
        for at in self._zeros:
            a.clear(at)
        a.clear(self.fault)
        a.load_constant(0)
        a.give(Destination.FAULT)
        a.give(Destination.BEGIN)
        a.load(self._own)
        a.mask(a.constant(~int(self._sources)))
        a.jump_if(Condition.ZERO, "sources")
        a.load_constant(BoardState.NO_SOURCE)
        a.store(self.fault)
        a.give(Destination.FAULT)
        a.clear(self._own)
        a.label("sources")
        a.load(self._own)
        a.give(Destination.OWN)
        a.mask(a.constant(self._flash_sources))
        a.store(self.flash_own)
        a.jump("main")

    def _copy(self, source: int, destination: int) -> None:
        self._a.load(source)
        self._a.store(destination)

    def _set_page(self, page: int) -> None:
        self._a.load_constant(page)
        self._a.give(Destination.PAGE)

    def _increase(self, at: int) -> None:
        """Add 1, which stays in the accumulator."""
        self._a.load_constant(1)
        self._a.add_to(at)

    def _decrease(self, at: int) -> None:
        """Add -1, which stays in the accumulator; no carry: it was 0."""
        self._a.load_constant(-1)
        self._a.add_to(at)
