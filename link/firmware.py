"""Firmware of the link's first thread (docs/link.md).

It takes what has been received, sends answers, and moves bytes between its buffers and the engine;
where there is a flash, the second one (`flash_firmware`) reads it.
"""

from .answer_firmware import AnswerFirmware
from .firmware_memory import Answer, FirmwareMemory
from .flash_firmware import Flash, FlashFirmware
from .instructions import Assembler, Condition, Destination
from .protocol import HEADER, SOURCES, BoardState, Sources
from .request_firmware import RequestFirmware
from .stream_firmware import StreamFirmware

__all__ = ["Firmware"]


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
        self._v = v = FirmwareMemory(a, info)
        self._sources, self._boot = sources, first
        self._flash, self._flash_sources = flash, flash.sources if flash else 0
        self._boot_code()
        self._main()
        AnswerFirmware(a, v, len(info))
        StreamFirmware(a, v, flash is not None)
        RequestFirmware(a, v)
        self._open()
        if flash:
            FlashFirmware(a, v, flash)
        self.code, self.memory = a.finish()
        self.first = a.address("boot")
        self.second = a.address("flash" if flash else "boot")

    def _boot_code(self) -> None:
        a, v = self._a, self._v
        a.label("boot")
        for at in (v.session, v.count, v.answer, v.left, v.rest_left):
            a.clear(at)
        a.set(v.own, self._boot)
        a.jump("begin")

    def _main(self) -> None:
        """Do one thing after another; a byte must be received before the next one has come."""
        a = self._a
        a.label("main")
        if self._flash:
            a.switch()
        a.jump_if(Condition.RECEIVED, "received")
        a.jump_if(Condition.ENDED, "ended")

    def _open(self) -> None:
        a, v = self._a, self._v
        header = v.header
        a.label("open")
        a.load(v.length)
        a.subtract(a.constant(HEADER.size + SOURCES.size))
        a.jump_unless(Condition.ZERO, "main")
        a.load(header + 1)
        a.subtract(v.session)
        a.jump_if(Condition.ZERO, "answer with status")
        a.give(Destination.HOST)
        a.copy(header + 1, v.session)
        a.copy(header + 2, v.own)
        a.set(v.answer, Answer.STATUS)
        a.store(v.busy)
        a.label("begin")
        for at in v.zeros:
            a.clear(at)
        a.clear(v.fault)
        a.give_constant(Destination.FAULT, 0)
        a.give(Destination.BEGIN)
        a.load(v.own)
        a.mask(a.constant(~int(self._sources)))
        a.jump_if(Condition.ZERO, "sources")
        a.set(v.fault, BoardState.NO_SOURCE)
        a.give(Destination.FAULT)
        a.clear(v.own)
        a.label("sources")
        a.load(v.own)
        a.give(Destination.OWN)
        a.mask(a.constant(self._flash_sources))
        a.store(v.flash_own)
        a.jump("main")
