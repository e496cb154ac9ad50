"""Between the pins of a UART and a flash and the streams of an engine.

::

    rx ─► frame receiver ─►┌────────────┐─► program
    tx ◄── frame sender ◄──│ controller │─► image
                           └─────▲──────┘◄─ result
                                 ▼
    flash ◄───────────────► flash reader ───► program, image
"""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .controller import Controller, instruction_cycles
from .firmware import Firmware
from .firmware_memory import IMAGE_BUFFER, PROGRAM_BUFFER
from .flash_firmware import Flash
from .flash_reader import PINS, FlashReader, bit_cycles, connect_pins
from .frame_receiver import FrameReceiver
from .frame_sender import FrameSender
from .instructions import Destination, Source
from .protocol import INFO, VERSION, Sources
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
    cs, sck, dq_o, dq_oe, dq_i : pins of the flash (`flash_reader.PINS`), if there is one
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
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                **(PINS if flash else {}),
                "program": Out(BYTE_STREAM),
                "image": Out(BYTE_STREAM),
                "image_wanted": In(1),
                "result": In(stream.Signature(8)),
                "state": In(2),
                "error": In(4),
                "layer": In(8),
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

        # Bytes that go out wait until they are taken. A stream from the flash takes the place of
        # the controller's bytes, and waits while there is one of these.
        reader = None
        byte, last = result, controller.destination[0]
        gives = Signal()
        m.d.comb += gives.eq(controller.destination[2:] == Destination.PROGRAM >> 2)
        if self.flash:
            m.submodules.flash = reader = FlashReader(bit_cycles(self.clock_hz), self.flash.lines)
            byte = Mux(gives, result, reader.stream.payload.data)
            last = Mux(gives, last, reader.stream.payload.last)
        streams = []
        for number, out in enumerate((self.program, self.image)):
            given = Signal()
            m.d.comb += given.eq(gives & (controller.destination[1] == number))
            if reader:
                # Not while a byte is being taken: the engine says late whether it takes one.
                taken_here = ~out.valid & ~gives & (reader.to_image == number)
                streams.append(taken_here)
                with m.If(reader.stream.valid & taken_here):
                    m.d.comb += given.eq(1)
            with m.If(out.ready):
                m.d.sync += out.valid.eq(0)
            with m.If(given):
                m.d.sync += [
                    out.payload.data.eq(byte),
                    out.payload.last.eq(last),
                    out.valid.eq(1),
                ]
        with m.If(sender.i.ready):
            m.d.sync += sender.i.valid.eq(0)
        with m.If(controller.destination[1:] == Destination.SEND >> 1):
            m.d.sync += [
                sender.i.payload.data.eq(result),
                sender.i.payload.last.eq(controller.destination[0]),
                sender.i.valid.eq(1),
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

        # A byte of the result waits here, so that an instruction does not reach through to the
        # engine, which stands still where its result is not taken.
        result_byte, result_waits = Signal(8), Signal()
        m.d.comb += self.result.ready.eq(~result_waits)
        with m.If(~result_waits):
            m.d.sync += [result_byte.eq(self.result.payload), result_waits.eq(self.result.valid)]
        with m.Elif(taken & (controller.source == Source.RESULT)):
            m.d.sync += result_waits.eq(0)
        with m.If(self.begin):
            m.d.sync += result_waits.eq(0)

        flash_byte = flash_ready = flash_right = flash_moved = remaining = 0
        if reader:
            connect_pins(m, reader, self)
            m.d.comb += [
                reader.control.eq(result),
                reader.set.eq(goes(Destination.CONTROL)),
                # What is on its way belongs to the session before.
                reader.stop.eq(goes(Destination.BEGIN)),
                reader.i.eq(result),
                reader.load.eq(goes(Destination.FLASH)),
                reader.take.eq(taken & (controller.source == Source.FLASH)),
                reader.next_remaining.eq(result),
                reader.rotate.eq(goes(Destination.REMAINING)),
                reader.stream.ready.eq(streams[0] | streams[1]),
            ]
            flash_byte, flash_ready, flash_right = reader.o, reader.ready, reader.right
            flash_moved, remaining = reader.moved, reader.remaining

        values: dict[int, Any] = {
            Source.RECEIVED: receiver.data,
            Source.RESULT: result_byte,
            Source.FLASH: flash_byte,
            Source.STATE: self.state,
            Source.ERROR: self.error,
            Source.LAYER: self.layer,
            Source.REMAINING: remaining,
        }
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(sender.tx),
            receiver.take.eq(taken & (controller.source == Source.RECEIVED)),
            receiver.next.eq(goes(Destination.RECEIVE)),
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
                    result_waits,
                    flash_ready,
                    flash_right,
                    receiver.received | receiver.ended | result_waits,
                    flash_moved,
                )
            ),
        ]
        return m
