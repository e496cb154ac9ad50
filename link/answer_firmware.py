"""Firmware of the link that sends answers (docs/link.md)."""

from .firmware_memory import (
    DIRECT,
    IMAGE_BUFFER,
    INFO,
    PROGRAM_BUFFER,
    RESULT_BUFFER,
    RESULT_PAGE,
    FirmwareMemory,
)
from .instructions import Assembler, Condition, Destination, Source
from .protocol import HEADER, OFFSET, STATUS, FrameType

__all__ = ["AnswerFirmware"]


class AnswerFirmware:
    """Sends a byte of an answer, or begins with the next one, if the sender takes it.

    Parameters
    ----------
    assembler : Assembler
    memory : FirmwareMemory
    info_bytes : int
        Bytes of INFO, the name included.
    """

    def __init__(self, assembler: Assembler, memory: FirmwareMemory, info_bytes: int):
        self._a, self._v = assembler, memory
        self._info_bytes = info_bytes
        self._send()

    def _send(self) -> None:
        a, v = self._a, self._v
        a.jump_unless(Condition.CAN_SEND, "feed program")
        a.load(v.left)
        a.jump_unless(Condition.ZERO, "send body")
        a.load(v.rest_left)
        a.jump_unless(Condition.ZERO, "send result")
        a.load(v.answer)
        a.jump_if(Condition.ZERO, "feed program")
        a.clear(v.answer)
        for name in ("status", "info"):
            a.subtract(a.constant(1))
            a.jump_if(Condition.ZERO, f"answer {name}")

        # RESULT.
        self._begin_body(FrameType.RESULT_DATA, HEADER.size + OFFSET.size)
        for n in range(2):
            a.copy(v.result_begin + n, v.body + 2 + n)
        a.copy(v.result_begin, v.rest_at)
        a.copy(v.result_used, v.rest_left)
        a.set(v.rest_mask, RESULT_BUFFER)
        a.jump("main")

        a.label("answer info")
        self._begin_body(FrameType.INFO, HEADER.size)
        for value, at in (
            (INFO, v.rest_at),
            (self._info_bytes, v.rest_left),
            (0xFF, v.rest_mask),
        ):
            a.set(at, value)
        a.jump("main")

        a.label("answer status")
        self._begin_body(FrameType.STATUS, HEADER.size + STATUS.size)
        fields = v.body + HEADER.size
        a.load(v.fault)
        a.jump_unless(Condition.ZERO, "state")
        a.take(Source.STATE)
        a.label("state")
        a.store(fields)
        for n, source in enumerate((Source.ERROR, Source.LAYER), 1):
            a.take(source)
            a.store(fields + n)
        a.clear(fields + 3)
        for n in range(2):
            a.copy(v.program_offset + n, fields + 4 + n)
            a.copy(v.image_offset + n, fields + 8 + n)
            a.copy(v.result_end + n, fields + 12 + n)
            # No room as long as the end of a program or an image is in the buffer.
            a.clear(fields + 6 + n)
            a.clear(fields + 10 + n)
        a.load(v.program_closed)
        a.jump_unless(Condition.ZERO, "no program room")
        for n in range(2):
            a.load_constant(PROGRAM_BUFFER >> 8 * n)
            a.subtract(v.program_fill + n)
            a.store(fields + 6 + n)
        a.label("no program room")
        a.load(v.image_closed)
        a.jump_unless(Condition.ZERO, "main")
        a.load_constant(IMAGE_BUFFER)
        a.subtract(v.image_fill)
        a.store(fields + 10)
        a.jump("main")

        a.label("send body")
        a.decrease(v.left)
        a.give_constant(Destination.PAGE, RESULT_PAGE)
        a.load(v.left)
        a.jump_unless(Condition.ZERO, "not last")
        a.load(v.rest_left)
        a.jump_unless(Condition.ZERO, "not last")
        a.load(v.at)
        a.fetch(Destination.SEND_LAST)
        a.jump("main")
        a.label("not last")
        a.load(v.at)
        a.fetch(Destination.SEND)
        a.increase(v.at)
        a.jump("main")

        a.label("send result")
        a.decrease(v.rest_left)
        a.give_constant(Destination.PAGE, RESULT_PAGE)
        a.load(v.rest_left)
        a.jump_if(Condition.ZERO, "result ends")
        a.load(v.rest_at)
        a.mask(v.rest_mask)
        a.fetch(Destination.SEND)
        a.increase(v.rest_at)
        a.jump("main")
        a.label("result ends")
        a.load(v.rest_at)
        a.mask(v.rest_mask)
        a.fetch(Destination.SEND_LAST)
        a.jump("main")

    def _begin_body(self, frame_type: FrameType, size: int) -> None:
        a, v = self._a, self._v
        a.set(v.body, frame_type)
        a.set(v.at, DIRECT + v.body)
        a.set(v.left, size)
