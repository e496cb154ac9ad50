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
    data, valid : a byte, its CRC's four bytes included (for one cycle)
    end : a flag (for one cycle)
    right : with ``end``: the bytes since the last flag end with their CRC
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__(
            {"rx": In(1, init=1), "data": Out(8), "valid": Out(1), "end": Out(1), "right": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.uart = uart = UARTReceiver(self.divisor)
        m.submodules.checksum = checksum = Checksum()
        escape, broken = Signal(), Signal()
        # Of the byte that is in the UART's register.
        covered, escaped = Signal(), Signal()
        is_flag, is_escape = Signal(), Signal()
        m.d.comb += [
            uart.rx.eq(self.rx),
            is_flag.eq(uart.data == FLAG),
            is_escape.eq(uart.data == ESCAPE),
            self.data.eq(uart.data),
            self.data[5].eq(uart.data[5] ^ escape),
            self.valid.eq(uart.valid & ~is_flag & ~is_escape),
            self.end.eq(uart.valid & is_flag),
            self.right.eq(checksum.right & ~escape & ~broken),
            checksum.start.eq(self.end),
            checksum.shift.eq(uart.shift & covered),
            checksum.bit.eq(uart.data[0] ^ (escaped & (uart.index == 5))),
        ]
        assert ESCAPE_XOR == 1 << 5
        with m.If(uart.valid):
            m.d.sync += [
                covered.eq(self.valid),
                escaped.eq(escape),
                escape.eq(is_escape),
                broken.eq(~is_flag & (broken | (escape & is_escape))),
            ]
        with m.Elif(uart.error):
            m.d.sync += broken.eq(1)
        return m
