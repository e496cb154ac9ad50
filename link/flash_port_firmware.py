"""Firmware of the link's second thread that exchanges bytes with the flash."""

from .firmware_memory import FirmwareMemory
from .flash_reader import FlashControl
from .instructions import Assembler, Condition, Destination, Source

__all__ = ["FlashPort"]


class FlashPort:
    """Adds the instructions that use a `FlashReader`.

    Parameters
    ----------
    assembler : Assembler
    memory : FirmwareMemory
    """

    def __init__(self, assembler: Assembler, memory: FirmwareMemory):
        self._a, self._busy = assembler, memory.busy
        self._labels = 0

    def control(self, word: FlashControl | int) -> None:
        """Give a control word; it stays in the accumulator."""
        self._a.give_constant(Destination.CONTROL, word)

    def pause(self) -> None:
        """Let the other thread work, if it has something to do."""
        a, works, goes_on = self._a, self._label(), self._label()
        a.jump_if(Condition.EVENT, works)
        a.load(self._busy)
        a.jump_if(Condition.ZERO, goes_on)
        a.label(works)
        a.switch()
        a.label(goes_on)

    def poll(self) -> None:
        """Wait for a byte; that does not take long."""
        again = self._label()
        self._a.label(again)
        self._a.jump_unless(Condition.FLASH_READY, again)

    def send(self, at: int) -> None:
        """Send a byte of the direct page."""
        self._a.load(at)
        self._a.give(Destination.FLASH)
        self.poll()

    def command(self, at: int) -> None:
        """Begin a command, whose byte is in the direct page."""
        self.control(FlashControl.SELECT)
        self.send(at)
        self.pause()

    def read(self, at: int) -> None:
        """Read a byte into the direct page, and end the command."""
        self._a.take(Source.FLASH)
        self.poll()
        self._a.take(Source.FLASH)
        self._a.store(at)
        self.control(0)

    def _label(self) -> str:
        self._labels += 1
        return f"flash port {self._labels}"
