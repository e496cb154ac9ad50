"""Firmware of the link that takes requests of hosts (docs/link.md)."""

from .firmware_memory import (
    DIRECT,
    IMAGE_BUFFER,
    IMAGE_PAGE,
    LONGEST_PIECE,
    PIECE,
    PROGRAM_BUFFER,
    RESULT_PAGE,
    Answer,
    FirmwareMemory,
)
from .instructions import Assembler, Condition, Destination, Source
from .protocol import CHECKSUM_BYTES, HEADER, FrameType, Sources

__all__ = ["RequestFirmware"]


class RequestFirmware:
    """Takes a byte of a body, or acts on a body that has ended.

    Parameters
    ----------
    assembler : Assembler
    memory : FirmwareMemory
    """

    def __init__(self, assembler: Assembler, memory: FirmwareMemory):
        self._a, self._v = assembler, memory
        self._receive()
        self._end()

    def _receive(self) -> None:
        """Keep a byte of the header, or write one of a piece or its CRC behind what is there."""
        a, v = self._a, self._v
        header = v.header
        a.label("received")
        a.load(v.count)
        a.subtract(a.constant(PIECE))
        a.jump_if(Condition.CARRY, "piece")
        a.give_constant(Destination.PAGE, RESULT_PAGE)
        a.load(v.count)
        a.add(a.constant(DIRECT + header))
        a.put(Source.RECEIVED)
        a.increase(v.count)
        a.load(v.count)
        a.subtract(a.constant(PIECE))
        a.jump_unless(Condition.ZERO, "main")

        a.clear(v.limit)
        a.load(header)
        a.mask(a.constant(0xFE))
        a.subtract(a.constant(FrameType.PROGRAM))
        a.jump_if(Condition.ZERO, "program begins")
        a.subtract(a.constant(FrameType.IMAGE - FrameType.PROGRAM))
        a.jump_unless(Condition.ZERO, "main")

        a.load(v.own)
        a.mask(a.constant(Sources.IMAGE))
        a.jump_unless(Condition.ZERO, "main")
        a.load(v.image_closed)
        a.jump_unless(Condition.ZERO, "main")
        a.copy(v.image_offset, v.write)
        a.set(v.write_page, IMAGE_PAGE)
        a.load_constant(IMAGE_BUFFER)
        a.subtract(v.image_fill)
        a.jump("room")

        a.label("program begins")
        a.load(v.own)
        a.mask(a.constant(Sources.PROGRAM))
        a.jump_unless(Condition.ZERO, "main")
        a.load(v.program_closed)
        a.jump_unless(Condition.ZERO, "main")
        a.copy(v.program_offset, v.write)
        a.load(v.program_offset + 1)
        a.mask(a.constant(1))
        a.store(v.write_page)
        a.load(v.program_fill + 1)
        a.jump_if(Condition.ZERO, "much room")
        a.load_constant(PROGRAM_BUFFER)
        a.subtract(v.program_fill)
        a.label("room")
        a.store(v.limit)
        a.mask(a.constant(LONGEST_PIECE))
        a.jump_unless(Condition.ZERO, "much room")
        a.load_constant(PIECE)
        a.add_to(v.limit)
        a.jump("main")
        a.label("much room")
        a.set(v.limit, PIECE + LONGEST_PIECE)
        a.jump("main")

        a.label("piece")
        a.load(v.count)
        a.subtract(v.limit)
        a.jump_if(Condition.CARRY, "no room")
        a.load(v.write_page)
        a.give(Destination.PAGE)
        a.load(v.write)
        a.put(Source.RECEIVED)
        a.increase(v.count)
        a.add_to(v.write)
        a.jump_unless(Condition.CARRY, "main")
        # The pages of the program follow each other, that of the image itself.
        a.load(v.write_page)
        a.subtract(a.constant(IMAGE_PAGE))
        a.jump_if(Condition.ZERO, "main")
        a.load_constant(1)
        a.subtract(v.write_page)
        a.store(v.write_page)
        a.jump("main")
        a.label("no room")
        a.take(Source.RECEIVED)
        a.increase(v.count)
        a.jump_unless(Condition.CARRY, "main")
        # Far too long, and so it stays.
        a.set(v.count, -1)
        a.jump("main")

    def _end(self) -> None:
        """Act on what has come before a flag."""
        a, v = self._a, self._v
        header = v.header
        a.label("ended")
        a.load(v.count)
        a.subtract(a.constant(CHECKSUM_BYTES))
        a.store(v.length)
        a.clear(v.count)
        # A frame is dropped if an answer waits.
        a.load(v.answer)
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
        a.subtract(v.session)
        a.jump_unless(Condition.ZERO, "main")
        a.load(header)
        a.subtract(a.constant(FrameType.RESULT))
        a.jump_if(Condition.ZERO, "result")
        # A piece, if its length and type are right; `length` becomes its own.
        a.load(v.length)
        a.subtract(a.constant(PIECE + LONGEST_PIECE + 1))
        a.jump_if(Condition.CARRY, "main")
        a.load_constant(-PIECE)
        a.add_to(v.length)
        a.jump_unless(Condition.CARRY, "main")
        a.jump_if(Condition.ZERO, "main")
        a.load(header)
        a.mask(a.constant(0xFE))
        a.subtract(a.constant(FrameType.PROGRAM))
        a.jump_if(Condition.ZERO, "program piece")
        a.subtract(a.constant(FrameType.IMAGE - FrameType.PROGRAM))
        a.jump_unless(Condition.ZERO, "main")
        self._commit(v.image_offset, v.image_fill, v.image_closed, "image")
        a.jump("answer with status")
        a.label("program piece")
        self._commit(v.program_offset, v.program_fill, v.program_closed, "program")
        a.jump_unless(Condition.CARRY, "answer with status")
        a.increase(v.program_fill + 1)
        a.jump("answer with status")

        # The host has what comes before an offset.
        a.label("result")
        a.load(v.length)
        a.subtract(a.constant(PIECE))
        a.jump_unless(Condition.ZERO, "main")
        a.load(header + 2)
        a.subtract(v.result_begin)
        a.store(v.write)
        a.load(header + 3)
        a.subtract_carry(v.result_begin + 1)
        a.jump_unless(Condition.ZERO, "answer with status")
        a.load(v.result_used)
        a.subtract(v.write)
        a.jump_unless(Condition.CARRY, "answer with status")
        a.store(v.result_used)
        a.load(v.write)
        a.add_to(v.result_begin)
        a.jump_unless(Condition.CARRY, "released")
        a.increase(v.result_begin + 1)
        a.label("released")
        a.load(v.result_used)
        a.jump_if(Condition.ZERO, "answer with status")
        a.load_constant(Answer.RESULT)
        a.jump("answer")

        a.label("hello")
        a.load(v.length)
        a.subtract(a.constant(HEADER.size))
        a.jump_unless(Condition.ZERO, "main")
        a.load_constant(Answer.INFORMATION)
        a.jump("answer")

        a.label("answer with status")
        a.load_constant(Answer.STATUS)
        a.label("answer")
        a.store(v.answer)
        a.store(v.busy)
        a.jump("main")

    def _commit(self, offset: int, fill: int, closed: int, name: str) -> None:
        """Take a piece that has found room, if it is the one that is expected; leaves the carry of
        the fill."""
        a, v = self._a, self._v
        header = v.header
        a.load(v.length)
        a.add(a.constant(PIECE - 1))
        a.subtract(v.limit)
        a.jump_if(Condition.CARRY, "answer with status")
        for n in range(2):
            a.load(header + 2 + n)
            a.subtract(offset + n)
            a.jump_unless(Condition.ZERO, "answer with status")
        a.load(header)
        a.mask(a.constant(1))
        a.store(closed)
        a.load(v.length)
        a.add_to(offset)
        a.jump_unless(Condition.CARRY, f"{name} offset")
        a.increase(offset + 1)
        a.label(f"{name} offset")
        a.load(v.length)
        a.add_to(fill)
