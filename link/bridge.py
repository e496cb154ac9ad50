"""Between the pins of a UART and a flash and the streams of an engine.

::

    rx ─► frame receiver ─►┌────────────┐─► program
    tx ◄── frame sender ◄──│ controller │─► image
    flash ◄──► SPI master ◄┴────────────┘◄─ result
"""

from amaranth.hdl import Array, Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .checksum import Checksum
from .controller import Controller, instruction_cycles
from .firmware import Firmware
from .firmware_memory import IMAGE_BUFFER, PROGRAM_BUFFER
from .flash_firmware import Flash
from .frame_receiver import FrameReceiver
from .frame_sender import FrameSender
from .instructions import Destination, Source
from .protocol import INFO, VERSION, Sources
from .spi import SPIMaster, bit_cycles
from .words import BYTE_STREAM

__all__ = ["Bridge"]


class Bridge(wiring.Component):
    """Sessions: bytes of programs and images from a host or a flash, bytes of results to a host.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.
    flash : Flash or None
        A flash at the board.
    sources : Sources
        What the board has in its own memory.
    first : Sources
        What it takes from there until a host opens a session.
    fingerprint, program_bytes, post_lanes, clock_hz, name
        What an INFO says.

    Members
    -------
    rx, tx : pins
    cs, sck, mosi, miso : pins of the flash, if there is one; ``cs`` is active low
    program, image : bytes for the engine, from the host or the flash
    image_wanted : the engine takes an image
    result : bytes from the engine
    state, error, layer : what a STATUS says of the engine
    program_own : the program comes from the board's own memory
    fault : the session asks for what the board does not have, or the flash holds nothing right
    begin : a session begins (for one cycle), or the board does (until a cycle after its reset)
    host : a host has opened a session
    """

    def __init__(
        self,
        *,
        divisor: int,
        flash: Flash | None,
        sources: Sources,
        first: Sources,
        fingerprint: int,
        program_bytes: int,
        post_lanes: int,
        clock_hz: int,
        name: str,
    ):
        self.divisor, self.flash, self.clock_hz = divisor, flash, clock_hz
        info = INFO.pack(
            VERSION,
            fingerprint,
            PROGRAM_BUFFER,
            IMAGE_BUFFER,
            program_bytes,
            post_lanes,
            sources,
            clock_hz,
        )
        self.firmware = Firmware(info + name.encode("ascii"), sources, first, flash)
        pins = {"cs": Out(1, init=1), "sck": Out(1), "mosi": Out(1), "miso": In(1)}
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                **(pins if flash else {}),
                "program": Out(BYTE_STREAM),
                "image": Out(BYTE_STREAM),
                "image_wanted": In(1),
                "result": In(stream.Signature(8)),
                "state": In(2),
                "error": In(4),
                "layer": In(16),
                "program_own": Out(1),
                "fault": Out(1),
                "begin": Out(1, init=1),
                "host": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        firmware = self.firmware
        m.submodules.receiver = receiver = FrameReceiver(self.divisor)
        m.submodules.sender = sender = FrameSender(self.divisor)
        m.submodules.controller = controller = Controller(
            instruction_cycles(self.clock_hz),
            firmware.code,
            firmware.memory,
            firmware.first,
            firmware.second,
        )
        result, taken = controller.result, controller.taken

        def goes(destination: Destination):
            return controller.destination == destination

        # Bytes that go out wait until they are taken.
        for out, destination in (
            (sender.i, Destination.SEND),
            (self.program, Destination.PROGRAM),
            (self.image, Destination.IMAGE),
        ):
            with m.If(out.ready):
                m.d.sync += out.valid.eq(0)
            with m.If(controller.destination[1:] == destination >> 1):
                m.d.sync += [
                    out.payload.data.eq(result),
                    out.payload.last.eq(controller.destination[0]),
                    out.valid.eq(1),
                ]
        # From a register, as it resets the engine, which is large. The firmware's next instructions
        # have nothing to do with the engine's streams.
        m.d.sync += self.begin.eq(goes(Destination.BEGIN))
        with m.If(self.begin):
            m.d.sync += [self.program.valid.eq(0), self.image.valid.eq(0)]
        for register, destination in (
            (self.fault, Destination.FAULT),
            (self.program_own, Destination.OWN),
        ):
            with m.If(goes(destination)):
                m.d.sync += register.eq(result[0])
        with m.If(goes(Destination.HOST)):
            m.d.sync += self.host.eq(1)

        flash_byte, flash_ready, flash_right = 0, 0, 0
        if self.flash:
            m.submodules.spi = spi = SPIMaster(bit_cycles(self.clock_hz))
            m.submodules.checksum = checksum = Checksum()
            m.d.comb += [
                self.sck.eq(spi.sck),
                self.mosi.eq(spi.mosi),
                spi.miso.eq(self.miso),
                spi.i.eq(result),
                spi.load.eq(goes(Destination.FLASH)),
                spi.start.eq(spi.load | (taken & (controller.source == Source.FLASH))),
                spi.stop.eq(goes(Destination.SELECT)),
                checksum.start.eq(goes(Destination.CHECKSUM)),
                checksum.shift.eq(spi.shift),
                checksum.bit.eq(self.miso),
            ]
            with m.If(goes(Destination.SELECT)):
                m.d.sync += self.cs.eq(~result[0])
            flash_byte, flash_ready, flash_right = spi.o, spi.ready, checksum.right

        values = {
            Source.RECEIVED: receiver.data,
            Source.RESULT: self.result.payload,
            Source.FLASH: flash_byte,
            Source.STATE: self.state,
            Source.ERROR: self.error,
            Source.LAYER_LOW: self.layer[:8],
            Source.LAYER_HIGH: self.layer[8:],
        }
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(sender.tx),
            receiver.take.eq(taken & (controller.source == Source.RECEIVED)),
            receiver.next.eq(goes(Destination.RECEIVE)),
            self.result.ready.eq(taken & (controller.source == Source.RESULT)),
            controller.value.eq(Array(values.get(n, 0) for n in range(8))[controller.source]),
            controller.conditions.eq(
                Cat(
                    receiver.received,
                    receiver.ended,
                    receiver.right,
                    ~sender.i.valid,
                    ~self.program.valid,
                    ~self.image.valid,
                    self.image_wanted & ~self.image.valid,
                    self.result.valid,
                    flash_ready,
                    flash_right,
                    receiver.received | receiver.ended | self.result.valid,
                )
            ),
        ]
        return m
