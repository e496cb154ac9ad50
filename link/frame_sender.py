"""Bodies to a UART: flags, escapes, CRC."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .checksum import Checksum
from .protocol import ESCAPE, ESCAPE_XOR, FLAG
from .uart import UARTTransmitter

__all__ = ["FrameSender"]


class FrameSender(wiring.Component):
    """Sends bodies as frames. The CRC takes each bit on its way to the pin.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Members
    -------
    i : bytes of bodies; ``last`` with the last one of each
    tx : the pin
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"data": 8, "last": 1}))),
                "tx": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.uart = uart = UARTTransmitter(self.divisor)
        m.submodules.checksum = checksum = Checksum()
        # Of what comes next: a byte of the CRC; an escape has gone before it.
        ends, escaped = Signal(), Signal()
        # Of what is on its way: covered by the CRC, or part of it; a bit is turned over.
        covered, turned = Signal(), Signal()
        empties = Signal()
        remaining = Signal(2)
        byte, escapes, taken = Signal(8), Signal(), Signal()
        m.d.comb += [
            self.tx.eq(uart.tx),
            byte.eq(Mux(ends, checksum.value[:8], self.i.payload.data)),
            escapes.eq(((byte == FLAG) | (byte == ESCAPE)) & ~escaped),
            taken.eq(uart.i.valid & uart.i.ready),
            checksum.empty.eq(empties),
            checksum.shift.eq(uart.shift & covered),
            checksum.bit.eq(uart.bit ^ (turned & (uart.index == 5))),
        ]
        with m.FSM():
            with m.State("BEGIN"):
                m.d.comb += [
                    uart.i.valid.eq(self.i.valid),
                    uart.i.payload.eq(FLAG),
                    checksum.start.eq(1),
                ]
                with m.If(taken):
                    m.d.sync += [ends.eq(0), covered.eq(0)]
                    m.next = "BYTE"
            with m.State("BYTE"):
                m.d.comb += [
                    uart.i.valid.eq(self.i.valid | ends),
                    uart.i.payload.eq(byte ^ Mux(escaped, Const(ESCAPE_XOR, 8), 0)),
                ]
                with m.If(escapes):
                    m.d.comb += uart.i.payload.eq(ESCAPE)
                with m.If(taken):
                    m.d.sync += [
                        escaped.eq(escapes),
                        turned.eq(escaped),
                        covered.eq(~escapes),
                        empties.eq(ends),
                    ]
                    with m.If(~escapes):
                        m.d.comb += self.i.ready.eq(~ends)
                        with m.If(~ends):
                            m.d.sync += ends.eq(self.i.payload.last)
                        with m.Else():
                            m.d.sync += remaining.eq(remaining - 1)
                            with m.If(remaining == 1):
                                m.next = "END"
            with m.State("END"):
                m.d.comb += [uart.i.valid.eq(1), uart.i.payload.eq(FLAG)]
                with m.If(taken):
                    m.d.sync += covered.eq(0)
                    m.next = "BEGIN"
        return m
