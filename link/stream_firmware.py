"""Firmware of the link that moves bytes between its rings and the engine (docs/link.md)."""

from .firmware_memory import IMAGE_PAGE, RESULT_BUFFER, RESULT_PAGE, FirmwareMemory
from .instructions import Assembler, Condition, Destination, Source

__all__ = ["StreamFirmware"]


class StreamFirmware:
    """Moves a byte to or from the engine.

    Parameters
    ----------
    assembler : Assembler
    memory : FirmwareMemory
    flash : bool
        There is a second thread that reads a flash.
    """

    def __init__(self, assembler: Assembler, memory: FirmwareMemory, flash: bool):
        self._a, self._v = assembler, memory
        self._flash = flash
        self._feed_program()
        self._feed_image()
        self._take_result()
        self._rest()

    def _feed_program(self) -> None:
        a, v = self._a, self._v
        low, high = v.program_fill, v.program_fill + 1
        a.label("feed program")
        a.jump_unless(Condition.PROGRAM_READY, "feed image")
        a.load(low)
        a.jump_unless(Condition.ZERO, "some program")
        a.load(high)
        a.jump_if(Condition.ZERO, "feed image")
        a.label("some program")
        a.decrease(low)
        a.jump_if(Condition.CARRY, "program taken")
        a.add_to(high)
        a.label("program taken")
        a.load(v.program_page)
        a.give(Destination.PAGE)
        a.load(v.program_closed)
        a.jump_if(Condition.ZERO, "program goes on")
        a.load(low)
        a.jump_unless(Condition.ZERO, "program goes on")
        a.load(high)
        a.jump_unless(Condition.ZERO, "program goes on")
        a.clear(v.program_closed)
        a.load(v.program_tail)
        a.fetch(Destination.PROGRAM_LAST)
        a.jump("next of program")
        a.label("program goes on")
        a.load(v.program_tail)
        a.fetch(Destination.PROGRAM)
        a.label("next of program")
        a.increase(v.program_tail)
        a.jump_unless(Condition.CARRY, "main")
        a.subtract(v.program_page)
        a.store(v.program_page)
        a.jump("main")

    def _feed_image(self) -> None:
        a, v = self._a, self._v
        a.label("feed image")
        a.jump_unless(Condition.IMAGE_READY, "take result")
        a.load(v.image_fill)
        a.jump_if(Condition.ZERO, "take result")
        a.give_constant(Destination.PAGE, IMAGE_PAGE)
        a.decrease(v.image_fill)
        a.load(v.image_closed)
        a.jump_if(Condition.ZERO, "image goes on")
        a.load(v.image_fill)
        a.jump_unless(Condition.ZERO, "image goes on")
        a.clear(v.image_closed)
        a.load(v.image_tail)
        a.fetch(Destination.IMAGE_LAST)
        a.jump("next of image")
        a.label("image goes on")
        a.load(v.image_tail)
        a.fetch(Destination.IMAGE)
        a.label("next of image")
        a.increase(v.image_tail)
        a.jump("main")

    def _take_result(self) -> None:
        a, v = self._a, self._v
        a.label("take result")
        a.jump_unless(Condition.RESULT, "rest")
        a.load(v.result_used)
        a.subtract(a.constant(RESULT_BUFFER))
        a.jump_if(Condition.ZERO, "rest")
        a.give_constant(Destination.PAGE, RESULT_PAGE)
        a.load(v.result_end)
        a.mask(a.constant(RESULT_BUFFER))
        a.put(Source.RESULT)
        a.increase(v.result_used)
        a.add_to(v.result_end)
        a.jump_unless(Condition.CARRY, "main")
        a.add_to(v.result_end + 1)
        a.jump("main")

    def _rest(self) -> None:
        """Say that nothing is left to be done before the next event."""
        a, v = self._a, self._v
        a.label("rest")
        if self._flash:
            for at in (
                v.answer,
                v.left,
                v.rest_left,
                v.program_fill,
                v.program_fill + 1,
                v.image_fill,
            ):
                a.load(at)
                a.jump_unless(Condition.ZERO, "main")
            a.clear(v.busy)
        a.jump("main")
