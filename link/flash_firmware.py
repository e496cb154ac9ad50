"""Firmware of the link's second thread: programs and images from an SPI flash (docs/link.md).

The thread makes the flash ready, reads what is in it, and says to the `FlashReader` what comes
next. The engine takes a program's beginning, then the image, then the rest of the program: where
the engine wants the image, the thread stops the program's stream, and resumes it after the image.
"""

from dataclasses import dataclass

from .controller import instruction_cycles
from .firmware_memory import FirmwareMemory
from .flash_port_firmware import FlashPort
from .flash_reader import (
    DUMMY_BYTES,
    READ_COMMANDS,
    REMAINING_BYTES,
    FlashControl,
    byte_cycles,
)
from .instructions import DIRECT_PAGE, Assembler, Condition, Destination, Source
from .memory_contents import HEADER_BYTES, MAGIC
from .protocol import CHECKSUM_BYTES, BoardState, Sources
from .quad_enable_firmware import QuadEnableFirmware
from .wide_number import WideNumber

__all__ = ["Flash", "FlashFirmware", "image_cycles", "seek_cycles"]

_WAKE_UP = 0xAB
_WAKE_UP_SECONDS = 50e-6
_ADDRESS = REMAINING_BYTES
"""Bytes of an address, and of a size."""
_COUNT = 2
"""Bytes of a number of images."""
_SEEK_INSTRUCTIONS = 78
"""Of a change to another stream, while nothing is sent."""
_CHECK_INSTRUCTIONS = 24
"""From the last byte but one of an image to the last one, while nothing is read."""
_PAUSE_CYCLES = 12
"""Cycles of a round of waiting, at least."""
_OPEN = FlashControl.SELECT | FlashControl.RELEASE
_READING = _OPEN | FlashControl.CHECKSUM


def seek_cycles(clock_hz: int, lines: int) -> int:
    """Cycles from the last byte of a stream to the first one of the next, without the other thread.

    The reader reads a byte more, the thread finds out that the stream is over, chooses the next
    one, and sends command and address. Within 10 %.
    """
    sent = 1 + _ADDRESS + DUMMY_BYTES
    return (
        _SEEK_INSTRUCTIONS * instruction_cycles(clock_hz)
        + sent * byte_cycles(clock_hz, 1)
        + 2 * byte_cycles(clock_hz, lines)
    )


def image_cycles(clock_hz: int, lines: int, size: int) -> int:
    """Cycles from an engine's wish for an image of so many bytes to the last byte, which has to
    wait for the checksum."""
    return (
        seek_cycles(clock_hz, lines)
        + (size - 1 + CHECKSUM_BYTES) * byte_cycles(clock_hz, lines)
        + _CHECK_INSTRUCTIONS * instruction_cycles(clock_hz)
    )


@dataclass(frozen=True)
class Flash:
    """A flash.

    Attributes
    ----------
    base : int
        Address of the header.
    clock_hz : int
        The board's clock.
    sources : Sources
        What comes from it.
    lines : int
        On which it can give data: 1, 2 or 4.
    """

    base: int
    clock_hz: int
    sources: Sources
    lines: int


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
        self._own, self._fault = memory.flash_own, memory.fault
        self._flash = flash
        # The header after MAGIC: three numbers of four bytes each, whose upper ones have to be 0,
        # then what is not used. The direct page is small: where nothing is kept, numbers lie that
        # begin later.
        self._header = at = a.variables(HEADER_BYTES - len(MAGIC))
        self._size = WideNumber(a, range(at, at + _ADDRESS))
        self._image_size = WideNumber(a, range(at + 4, at + 4 + _ADDRESS))
        self._images = WideNumber(a, range(at + 8, at + 8 + _COUNT))
        self._zeros = WideNumber(a, (at + 3, at + 7, at + 10, at + 11))
        self._program_end = WideNumber(a, range(at + 12, at + 12 + _ADDRESS))
        self._image = WideNumber(a, range(at + 15, at + 15 + _ADDRESS))
        self._images_left = WideNumber(a, range(at + 10, at + 12))
        self._program_due, self._image_due, self._last = at + 3, at + 7, at + 18
        # Bytes that remain, as negative numbers.
        self._program_left = WideNumber.variable(a, _ADDRESS)
        # For an image, whose address is in another place, this is what remains of it.
        self._address = self._left = WideNumber.variable(a, _ADDRESS)
        self._number = self._program_left.places[0]
        # How bytes are read: the command, and the control word after it.
        self._command, self._reading = (a.variables() for _ in range(2))
        self._port = FlashPort(a, memory)
        self._wake()
        if flash.lines == 4:
            QuadEnableFirmware(a, self._port, range(at, at + 5), self._left, flash.clock_hz)
        self._read_header()
        self._choose()
        self._read_program()
        self._read_image()
        self._stop()

    def _wake(self) -> None:
        a, port = self._a, self._port
        a.label("flash")
        port.control(0)
        a.load(self._own)
        a.jump_if(Condition.ZERO, "stop")
        port.command(a.constant(_WAKE_UP))
        port.control(0)
        rounds = -(-int(self._flash.clock_hz * _WAKE_UP_SECONDS) // _PAUSE_CYCLES)
        self._left.set(-rounds)
        a.label("wakes")
        port.pause()
        self._left.count_up("wakes")

    def _read_header(self) -> None:
        a, port, lines = self._a, self._port, self._flash.lines
        a.set(self._command, READ_COMMANDS[lines])
        a.set(self._reading, _READING | (FlashControl.WIDE if lines > 1 else 0))
        a.label("read header")
        port.control(0)
        self._address.set(self._flash.base)
        self._seek(self._address)
        a.load(self._reading)
        a.give(Destination.CONTROL)
        a.take(Source.FLASH)
        for byte in MAGIC:
            port.poll()
            a.take(Source.FLASH)
            a.subtract(a.constant(byte))
            a.jump_unless(Condition.ZERO, "wrong header")
        a.clear(self._number)
        a.label("header")
        port.pause()
        port.poll()
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
        a.jump_if(Condition.FLASH_RIGHT, "right header")
        a.label("wrong header")
        if lines > 1:
            # A flash that does not give data on several lines does it on one.
            a.load(self._command)
            a.subtract(a.constant(READ_COMMANDS[1]))
            a.jump_if(Condition.ZERO, "wrong")
            a.set(self._command, READ_COMMANDS[1])
            a.set(self._reading, _READING)
            a.jump("read header")
        else:
            a.jump("wrong")
        a.label("right header")
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
        program = WideNumber.constant(a, self._flash.base + HEADER_BYTES, _ADDRESS)
        self._program_end.sum(self._size, program)
        self._rewind()

    def _choose(self) -> None:
        """Begin with the program; what is interrupted by the image is resumed after it."""
        a = self._a
        a.label("round")
        a.load(self._own)
        a.mask(a.constant(Sources.PROGRAM))
        a.store(self._program_due)
        a.load(self._own)
        a.mask(a.constant(Sources.IMAGE))
        a.store(self._image_due)
        self._program_left.negative(self._size)
        a.label("choose")
        self._port.control(0)
        a.label("waits")
        self._port.pause()
        a.load(self._program_due)
        a.jump_unless(Condition.ZERO, "program")
        a.load(self._image_due)
        a.jump_if(Condition.ZERO, "round")
        a.jump_if(Condition.IMAGE_WANTED, "image")
        a.jump("waits")

    def _read_program(self) -> None:
        a, port = self._a, self._port
        a.label("program")
        self._address.sum(self._program_end, self._program_left)
        self._count(self._program_left)
        self._seek(self._address)
        self._stream(FlashControl.PROGRAM)
        a.label("program runs")
        port.pause()
        a.jump_if(Condition.FLASH_READY, "program ends")
        a.load(self._image_due)
        a.jump_if(Condition.ZERO, "program runs")
        a.jump_unless(Condition.IMAGE_WANTED, "program runs")
        # Before the first byte of the program it may still be the image before.
        a.jump_unless(Condition.FLASH_MOVED, "program runs")
        port.control(_OPEN)
        for at in self._program_left.places:
            a.pass_on(Destination.REMAINING, Source.REMAINING)
            a.store(at)
        port.control(0)
        self._program_left.jump_unless_zero("image")
        a.clear(self._program_due)
        a.jump("image")
        a.label("program ends")
        a.clear(self._program_due)
        a.jump("choose")

    def _read_image(self) -> None:
        a, port = self._a, self._port
        a.label("image")
        # The way here and what follows take so long together that a host's byte could be lost.
        port.pause()
        # The last byte waits until the checksum has been found right.
        self._left.negative(self._image_size)
        self._left.count_up("image counted")
        a.label("image counted")
        self._count(self._left)
        self._seek(self._image)
        self._left.jump_unless_zero("image streams")
        a.load(self._reading)
        a.give(Destination.CONTROL)
        a.take(Source.FLASH)
        a.jump("image runs")
        a.label("image streams")
        self._stream(FlashControl.IMAGE)
        a.label("image runs")
        self._next_image()
        a.label("image last")
        port.pause()
        a.jump_unless(Condition.FLASH_READY, "image last")
        a.take(Source.FLASH)
        a.store(self._last)
        for n in range(CHECKSUM_BYTES):
            port.poll()
            if n < CHECKSUM_BYTES - 1:
                a.take(Source.FLASH)
        a.jump_unless(Condition.FLASH_RIGHT, "wrong")
        a.label("image ends")
        port.pause()
        a.jump_unless(Condition.IMAGE_READY, "image ends")
        a.load(self._last)
        a.give(Destination.IMAGE_LAST)
        a.clear(self._image_due)
        a.jump("choose")

    def _next_image(self) -> None:
        """Count, and go to "image last"; the last image is followed by the first."""
        a = self._a
        low, high = self._images_left.places
        a.decrease(low)
        a.jump_if(Condition.CARRY, "images counted")
        a.add_to(high)
        a.label("images counted")
        self._images_left.jump_unless_zero("next image")
        self._rewind()
        a.jump("image last")
        a.label("next image")
        self._image.sum(self._image, self._image_size)
        a.load_constant(CHECKSUM_BYTES)
        self._image.add_accumulator("image last")

    def _stop(self) -> None:
        a = self._a
        a.label("wrong")
        a.set(self._fault, BoardState.MEMORY)
        a.give_constant(Destination.FAULT, 1)
        a.label("stop")
        self._port.control(0)
        a.label("stopped")
        a.switch()
        a.jump("stopped")

    # Pieces.

    def _seek(self, number: WideNumber) -> None:
        """Go to an address; what is read next comes from there."""
        a, port = self._a, self._port
        port.command(self._command)
        for at in reversed(number.places):
            port.send(at)
        port.pause()
        # The flash drives its lines after the last of these clocks.
        port.control(_OPEN)
        for _ in range(DUMMY_BYTES):
            a.take(Source.FLASH)
            port.poll()

    def _count(self, negative: WideNumber) -> None:
        """Say how many bytes the next stream has."""
        for at in negative.places:
            self._a.load(at)
            self._a.give(Destination.REMAINING)

    def _stream(self, to: FlashControl) -> None:
        self._a.load(self._reading)
        self._a.add(self._a.constant(to))
        self._a.give(Destination.CONTROL)

    def _rewind(self) -> None:
        """The first image is the next one."""
        self._image.copy(self._program_end)
        self._images_left.copy(self._images)

    def _require(self, number: WideNumber, label: str) -> None:
        """Go to a label if a number is not 0; stop otherwise."""
        number.jump_unless_zero(label)
        self._a.jump("wrong")
