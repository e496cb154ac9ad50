"""Frames from a UART: escapes, CRC."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .checksum import Checksum
from .protocol import ESCAPE, ESCAPE_XOR, FLAG
from .uart import UARTReceiver

__all__ = ["FrameReceiver"]


class FrameReceiver(wiring.Component):
    """Bytes between two flags, and whether they were right.

    The CRC takes a byte's bits while the next byte pushes them out of the UART's register: when
    the flag has arrived, all before it has been through.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Members
    -------
    rx : the pin
    data, received : a byte, its CRC's four bytes included; stays until ``take``
    ended : there was a flag; stays until ``next``
    right : with ``ended``: the bytes before it end with their CRC, and each of them was taken
        before the next one came
    take, next : what was received has been seen (for one cycle)
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__(
            {
                "rx": In(1, init=1),
                "data": Out(8),
                "received": Out(1),
                "ended": Out(1),
                "right": Out(1),
                "take": In(1),
                "next": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.uart = uart = UARTReceiver(self.divisor)
        m.submodules.checksum = checksum = Checksum()
        escape, broken = Signal(), Signal()
        # Of the byte that is in the UART's register.
        covered, escaped = Signal(), Signal()
        is_flag, is_escape, valid, late = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            uart.rx.eq(self.rx),
            is_flag.eq(uart.data == FLAG),
            is_escape.eq(uart.data == ESCAPE),
            valid.eq(uart.valid & ~is_flag & ~is_escape),
            late.eq(uart.valid & (self.received | self.ended)),
            checksum.start.eq(uart.valid & is_flag),
            checksum.shift.eq(uart.shift & covered),
            checksum.bit.eq(uart.data[0] ^ (escaped & (uart.index == 5))),
        ]
        assert ESCAPE_XOR == 1 << 5
        with m.If(uart.valid):
            m.d.sync += [
                covered.eq(valid),
                escaped.eq(escape),
                escape.eq(is_escape),
                broken.eq(~is_flag & (broken | late | (escape & is_escape))),
            ]
        with m.Elif(uart.error):
            m.d.sync += broken.eq(1)

        with m.If(self.take):
            m.d.sync += self.received.eq(0)
        with m.If(self.next):
            m.d.sync += self.ended.eq(0)
        with m.If(valid):
            m.d.sync += [
                self.received.eq(1),
                self.data.eq(uart.data ^ (escape << 5)),
            ]
        with m.If(uart.valid & is_flag):
            m.d.sync += [
                self.ended.eq(1),
                self.right.eq(checksum.right & ~escape & ~broken & ~late),
            ]
        return m
