"""Everything between an engine and a board's pins."""

from dataclasses import dataclass

from amaranth.hdl import Const, Module, Mux, ResetInserter
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.engine import State
from hiddenite.rtl.program.packets import ErrorCode

from .argmax import Argmax
from .bridge import Bridge
from .byte_queue import ByteQueue
from .flash_firmware import Flash
from .flash_reader import LINES, PINS, connect_pins
from .protocol import DEFAULT_BAUD, LONGEST_NAME, Sources
from .rom import ProgramROM
from .uart import baud_divisor
from .words import WordAssembler, WordSplitter

__all__ = ["BoardLink", "LinkParameters"]

_BASE_STEP = 4096
_LARGEST_BASE = (1 << 24) - _BASE_STEP


@dataclass(frozen=True, kw_only=True)
class LinkParameters:
    """What a link is made of.

    Parameters
    ----------
    configuration : Configuration
        The engine's.
    clock_hz : int
        The engine's clock, 1 to 2**32 - 1 Hz.
    baud : int
        Rate of the UART.
    name : str
        Name of the board, 1 to 32 characters of ASCII.
    flash_base : int or None
        Address of a program and images in the SPI flash, a multiple of 4,096 below 2**24; None: no
        flash.
    flash_lines : int
        On which the flash can give data: 1, 2 or 4. One that does not give them on several gives
        them on one.
    program : bytes or None
        Program to bake into block RAM. It comes before one in the flash.
    standalone : bool
        Runs the images of its flash from power-up on until a host opens a session; gives only
        their classes. Needs a flash and ``post_lanes`` of 1.

    Raises
    ------
    InputError
        When a value breaks a rule above, or the baud rate those of `baud_divisor`.
    """

    configuration: Configuration
    clock_hz: int
    baud: int = DEFAULT_BAUD
    name: str
    flash_base: int | None = None
    flash_lines: int = 1
    program: bytes | None = None
    standalone: bool = False

    def __post_init__(self) -> None:
        for field, kind in (("clock_hz", int), ("baud", int), ("name", str)):
            value = getattr(self, field)
            if type(value) is not kind:
                said = {int: "an integer", str: "a string"}[kind]
                raise InputError(f"link: {field} must be {said}, not {value!r}")
        if not 1 <= self.clock_hz < 1 << 32:
            raise InputError(f"link: clock_hz must be 1 to {(1 << 32) - 1}, not {self.clock_hz}")
        if not 1 <= len(self.name) <= LONGEST_NAME or not self.name.isascii():
            raise InputError(
                f"link: name must be 1 to {LONGEST_NAME} characters of ASCII, not {self.name!r}"
            )
        baud_divisor(self.clock_hz, self.baud)
        base = self.flash_base
        if base is not None and (
            type(base) is not int or base % _BASE_STEP or not 0 <= base <= _LARGEST_BASE
        ):
            raise InputError(
                f"link: flash_base must be a multiple of {_BASE_STEP} from 0 to {_LARGEST_BASE}, "
                f"not {base!r}"
            )
        if self.flash_lines not in LINES:
            raise InputError(f"link: flash_lines must be 1, 2 or 4, not {self.flash_lines!r}")
        if self.program is not None and not self.program:
            raise InputError("link: program must have at least 1 byte, not 0")
        if self.standalone and self.flash_base is None:
            raise InputError("link: standalone needs a flash: flash_base must not be None")
        if self.standalone and self.configuration.post_lanes != 1:
            raise InputError(
                "link: standalone needs a configuration with post_lanes 1, "
                f"not {self.configuration.post_lanes}"
            )

    @property
    def sources(self) -> Sources:
        """What the board has in its own memory."""
        if self.flash_base is not None:
            return Sources.PROGRAM | Sources.IMAGE
        return Sources(0) if self.program is None else Sources.PROGRAM


_STATUS = wiring.Signature({"state": Out(2), "error": Out(ErrorCode), "layer": Out(16)})


def _words(width: int) -> stream.Signature:
    return stream.Signature(data.StructLayout({"data": width, "last": 1}))


class BoardLink(wiring.Component):
    """Link of one engine to a host, and to the board's own memory.

    Members
    -------
    rx, tx : pins of the UART
    cs, sck, dq_o, dq_oe, dq_i : pins of the flash (`flash_reader.PINS`), if there is one
    program, image, result, status : to be connected to the `Engine`
    engine_reset : resets the engine: whenever a session begins, and with this link
    running, error : for LEDs
    number : class of the last result in standalone mode, if that is on
    """

    def __init__(self, parameters: LinkParameters):
        self.parameters = parameters
        c = parameters.configuration
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                **(PINS if parameters.flash_base is not None else {}),
                "program": Out(_words(c.program_bits)),
                "image": Out(_words(8 * c.post_lanes)),
                "result": In(_words(32 * c.post_lanes)),
                "status": In(_STATUS),
                "engine_reset": Out(1, init=1),
                "running": Out(1),
                "error": Out(1),
                **({"number": Out(8)} if parameters.standalone else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, c = self.parameters, self.parameters.configuration
        flash = None
        if p.flash_base is not None:
            flash = Flash(
                p.flash_base,
                p.clock_hz,
                Sources.IMAGE if p.program is not None else Sources.PROGRAM | Sources.IMAGE,
                p.flash_lines,
            )
        m.submodules.bridge = bridge = Bridge(
            divisor=baud_divisor(p.clock_hz, p.baud),
            flash=flash,
            sources=p.sources,
            first=Sources.PROGRAM | Sources.IMAGE if p.standalone else Sources(0),
            fingerprint=c.fingerprint,
            program_bytes=c.program_bits // 8,
            post_lanes=c.post_lanes,
            clock_hz=p.clock_hz,
            name=p.name,
        )
        emptied = ResetInserter(bridge.begin)
        program, image = WordAssembler(c.program_bits // 8), WordAssembler(c.post_lanes)
        splitter = WordSplitter(4 * c.post_lanes)
        m.submodules.program = emptied(program)
        m.submodules.image = emptied(image)
        m.submodules.splitter = emptied(splitter)

        alone = ~bridge.host if p.standalone else Const(0)
        if p.flash_base is not None:
            connect_pins(m, bridge, self)
        connect(m, bridge.image, image.i)
        if p.program is None and p.flash_base is not None:
            m.submodules.queue = queue = emptied(ByteQueue())
            connect(m, bridge.program, queue.i)
            connect(m, queue.o, program.i)
        elif p.program is None:
            connect(m, bridge.program, program.i)
        else:
            m.submodules.rom = rom = emptied(ProgramROM(p.program))
            own = bridge.program_own
            m.d.comb += [
                rom.own.eq(own),
                program.i.payload.eq(Mux(own, rom.o.payload, bridge.program.payload)),
                program.i.valid.eq(Mux(own, rom.o.valid, bridge.program.valid)),
                rom.o.ready.eq(program.i.ready & own),
                bridge.program.ready.eq(program.i.ready & ~own),
            ]

        connect(m, program.o, flipped(self.program))
        connect(m, image.o, flipped(self.image))
        connect(m, splitter.o, bridge.result)
        m.d.comb += [
            bridge.rx.eq(self.rx),
            self.tx.eq(bridge.tx),
            splitter.i.payload.eq(self.result.payload.data),
            splitter.i.valid.eq(self.result.valid & ~alone),
            self.result.ready.eq(splitter.i.ready),
            bridge.state.eq(self.status.state),
            bridge.error.eq(self.status.error),
            bridge.layer.eq(self.status.layer),
            # While the engine takes the last beat of an image, it does not yet want the next one.
            bridge.image_wanted.eq(self.image.ready & ~self.image.valid),
            self.engine_reset.eq(bridge.begin),
            self.running.eq(self.status.state == State.RUNNING),
            self.error.eq((self.status.state == State.ERROR) | bridge.fault),
        ]
        if p.standalone:
            m.submodules.argmax = argmax = Argmax()
            m.d.comb += [
                argmax.i.payload.eq(self.result.payload),
                argmax.i.valid.eq(self.result.valid & alone),
                self.number.eq(argmax.o),
            ]
            with m.If(alone):
                m.d.comb += self.result.ready.eq(argmax.i.ready)
        return m
