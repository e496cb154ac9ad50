"""Firmware of the link's second thread: programs and images from an SPI flash (docs/link.md).

The engine takes a program's beginning, then the image, then the rest of the program. The thread
reads one byte at a time and waits for the engine to take it; where the engine waits for the image,
it turns to that, and then back to the byte where it was.
"""

from dataclasses import dataclass

from .firmware_memory import FirmwareMemory
from .instructions import DIRECT_PAGE, Assembler, Condition, Destination, Source
from .memory_contents import HEADER_BYTES, MAGIC
from .protocol import CHECKSUM_BYTES, BoardState, Sources
from .wide_number import WideNumber

__all__ = ["Flash", "FlashFirmware"]

_WAKE_UP, _READ = 0xAB, 0x03
_ADDRESS = 3
"""Bytes of an address, and of a size."""
_COUNT = 2
"""Bytes of a number of images."""
_PAUSE_CYCLES = 12
"""Cycles of a round of waiting, at least."""


@dataclass(frozen=True)
class Flash:
    """A flash.

    Attributes
    ----------
    base : int
        Address of the header.
    wake_cycles : int
        Cycles that it takes to wake up.
    sources : Sources
        What comes from it.
    """

    base: int
    wake_cycles: int
    sources: Sources


class FlashFirmware:
    """Adds the thread to the firmware.

    Parameters
    ----------
    assembler : Assembler
    memory : FirmwareMemory
    flash : Flash
    """

    def __init__(self, assembler: Assembler, memory: FirmwareMemory, flash: Flash):
        self._a = a = assembler
        self._own, self._fault, self._busy = memory.flash_own, memory.fault, memory.busy
        self._base, self._wake_cycles = flash.base, flash.wake_cycles
        # The header after MAGIC, without the fingerprint: three numbers of four bytes each, whose
        # upper ones have to be 0.
        self._header = at = a.variables(HEADER_BYTES - len(MAGIC))
        self._size = WideNumber(a, range(at, at + _ADDRESS))
        self._image_size = WideNumber(a, range(at + 4, at + 4 + _ADDRESS))
        self._images = WideNumber(a, range(at + 8, at + 8 + _COUNT))
        self._zeros = WideNumber(a, (at + 3, at + 7, at + 10, at + 11))
        self._number = a.variables()
        # Bytes that remain, as negative numbers.
        self._program_left = WideNumber.variable(a, _ADDRESS)
        self._left = WideNumber.variable(a, _ADDRESS)
        self._program_end = WideNumber.variable(a, _ADDRESS)
        self._image = WideNumber.variable(a, _ADDRESS)
        self._images_left = WideNumber.variable(a, _COUNT)
        self._address = WideNumber.variable(a, _ADDRESS)
        self._program_due, self._image_due, self._sent = (a.variables() for _ in range(3))
        self._last = a.variables()
        self._labels = 0
        self._wake()
        self._read_header()
        self._choose()
        self._read_program()
        self._read_image()
        self._stop()

    def _wake(self) -> None:
        a = self._a
        a.label("flash")
        a.give_constant(Destination.SELECT, 0)
        a.load(self._own)
        a.jump_if(Condition.ZERO, "stop")
        a.give_constant(Destination.SELECT, 1)
        self._send(a.constant(_WAKE_UP))
        a.give_constant(Destination.SELECT, 0)
        rounds = -(-self._wake_cycles // _PAUSE_CYCLES)
        self._left.set(-rounds)
        a.label("wakes")
        self._pause()
        self._left.count_up("wakes")

    def _read_header(self) -> None:
        a = self._a
        self._address.set(self._base)
        self._seek()
        for byte in MAGIC:
            self._wait()
            a.take(Source.FLASH)
            a.subtract(a.constant(byte))
            a.jump_unless(Condition.ZERO, "wrong")
        a.clear(self._number)
        a.label("header")
        self._wait()
        a.load(self._number)
        a.subtract(a.constant(HEADER_BYTES - len(MAGIC) - 1))
        a.jump_if(Condition.ZERO, "header ends")
        a.give_constant(Destination.PAGE, DIRECT_PAGE >> 8)
        a.load(self._number)
        a.add(a.constant(DIRECT_PAGE % 256 + self._header))
        a.put(Source.FLASH)
        a.increase(self._number)
        a.jump("header")
        a.label("header ends")
        a.jump_unless(Condition.FLASH_RIGHT, "wrong")
        # A program or an image has a byte.
        self._zeros.jump_unless_zero("wrong")
        a.load(self._own)
        a.mask(a.constant(Sources.PROGRAM))
        a.jump_if(Condition.ZERO, "has program")
        self._require(self._size, "has program")
        a.label("has program")
        a.load(self._own)
        a.mask(a.constant(Sources.IMAGE))
        a.jump_if(Condition.ZERO, "has image")
        self._require(self._image_size, "has bytes")
        a.label("has bytes")
        self._require(self._images, "has image")
        a.label("has image")
        program = WideNumber.constant(a, self._base + HEADER_BYTES, _ADDRESS)
        self._program_end.sum(self._size, program)
        self._rewind()

    def _choose(self) -> None:
        """Turn to the image if the engine wants it, otherwise to the program."""
        a = self._a
        a.label("round")
        # The other thread must not wait for too long.
        a.switch()
        a.load(self._own)
        a.mask(a.constant(Sources.PROGRAM))
        a.store(self._program_due)
        a.load(self._own)
        a.mask(a.constant(Sources.IMAGE))
        a.store(self._image_due)
        a.clear(self._sent)
        self._program_left.negative(self._size)
        a.label("choose")
        a.give_constant(Destination.SELECT, 0)
        a.label("waits")
        a.switch()
        a.load(self._image_due)
        a.jump_if(Condition.ZERO, "no image")
        a.jump_unless(Condition.IMAGE_WANTED, "no image")
        # Before the first byte of the program it may still be the image before.
        a.load(self._own)
        a.mask(a.constant(Sources.PROGRAM))
        a.jump_if(Condition.ZERO, "image")
        a.load(self._sent)
        a.jump_unless(Condition.ZERO, "image")
        a.label("no image")
        a.load(self._program_due)
        a.jump_unless(Condition.ZERO, "program")
        a.load(self._image_due)
        a.jump_if(Condition.ZERO, "round")
        a.jump("waits")

    def _read_program(self) -> None:
        a = self._a
        a.label("program")
        self._address.sum(self._program_end, self._program_left)
        self._seek()
        a.label("program byte")
        self._pause()
        a.jump_if(Condition.PROGRAM_READY, "program taken by engine")
        a.load(self._image_due)
        a.jump_if(Condition.ZERO, "program byte")
        a.jump_unless(Condition.IMAGE_WANTED, "program byte")
        a.load(self._sent)
        a.jump_if(Condition.ZERO, "program byte")
        a.jump("choose")
        a.label("program taken by engine")
        a.set(self._sent, 1)
        a.add_to(self._program_left.places[0])
        a.jump_if(Condition.CARRY, "program carry")
        # Counted while the byte comes.
        a.label("program moves")
        a.jump_unless(Condition.FLASH_READY, "program moves")
        a.move(Destination.PROGRAM, Source.FLASH)
        a.jump("program byte")
        a.label("program carry")
        self._program_left.add_carry("program moves")
        a.label("program ends")
        a.jump_unless(Condition.FLASH_READY, "program ends")
        a.move(Destination.PROGRAM_LAST, Source.FLASH)
        a.clear(self._program_due)
        a.jump("choose")

    def _read_image(self) -> None:
        a = self._a
        a.label("image")
        a.give_constant(Destination.SELECT, 0)
        self._address.copy(self._image)
        self._left.negative(self._image_size)
        self._seek()
        a.label("image byte")
        self._pause()
        a.jump_unless(Condition.FLASH_READY, "image byte")
        a.jump_unless(Condition.IMAGE_READY, "image byte")
        a.increase(self._left.places[0])
        a.jump_if(Condition.CARRY, "image carry")
        a.label("image moves")
        a.move(Destination.IMAGE, Source.FLASH)
        a.jump("image byte")
        a.label("image carry")
        self._left.add_carry("image moves")
        # The last byte waits until the checksum has been found right.
        a.take(Source.FLASH)
        a.store(self._last)
        for n in range(CHECKSUM_BYTES):
            self._wait()
            if n < CHECKSUM_BYTES - 1:
                a.take(Source.FLASH)
        a.jump_unless(Condition.FLASH_RIGHT, "wrong")
        a.load(self._last)
        a.give(Destination.IMAGE_LAST)
        a.clear(self._image_due)
        # The last image is followed by the first.
        low, high = self._images_left.places
        a.decrease(low)
        a.jump_if(Condition.CARRY, "image counted")
        a.add_to(high)
        a.label("image counted")
        a.switch()
        self._images_left.jump_unless_zero("next image")
        self._rewind()
        a.jump("choose")
        a.label("next image")
        self._image.sum(self._address, self._image_size)
        a.load_constant(CHECKSUM_BYTES)
        self._image.add_accumulator("choose")

    def _stop(self) -> None:
        a = self._a
        a.label("wrong")
        a.set(self._fault, BoardState.MEMORY)
        a.give_constant(Destination.FAULT, 1)
        a.label("stop")
        a.give_constant(Destination.SELECT, 0)
        a.label("stopped")
        a.switch()
        a.jump("stopped")

    # Pieces.

    def _label(self) -> str:
        self._labels += 1
        return f"flash {self._labels}"

    def _wait(self) -> None:
        """Wait for the flash's byte, and let the other thread work meanwhile."""
        again = self._label()
        self._a.label(again)
        self._a.switch()
        self._a.jump_unless(Condition.FLASH_READY, again)

    def _pause(self) -> None:
        """Let the other thread work, if it has something to do."""
        a, works, goes_on = self._a, self._label(), self._label()
        a.jump_if(Condition.EVENT, works)
        a.load(self._busy)
        a.jump_if(Condition.ZERO, goes_on)
        a.label(works)
        a.switch()
        a.label(goes_on)

    def _send(self, at: int) -> None:
        self._a.load(at)
        self._a.give(Destination.FLASH)
        self._wait()

    def _seek(self) -> None:
        """Begin to read at `address`; what comes from there is covered by a new checksum."""
        a = self._a
        a.give_constant(Destination.SELECT, 1)
        self._send(a.constant(_READ))
        for at in reversed(self._address.places):
            self._send(at)
        a.give(Destination.CHECKSUM)
        a.take(Source.FLASH)

    def _rewind(self) -> None:
        """The first image is the next one."""
        self._image.copy(self._program_end)
        self._images_left.copy(self._images)

    def _require(self, number: WideNumber, label: str) -> None:
        """Go to a label if a number is not 0; stop otherwise."""
        number.jump_unless_zero(label)
        self._a.jump("wrong")
