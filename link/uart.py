"""UART, 8 data bits, no parity, one stop bit: bytes from a pin and to a pin."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hiddenite.golden.errors import InputError

from .controller import instruction_cycles

__all__ = ["BYTE_BITS", "UARTReceiver", "UARTTransmitter", "baud_divisor"]

BYTE_BITS = 10
"""Bits of a byte on the line, with start and stop."""

BIT_INSTRUCTIONS = 8
"""In fewer a bit, the link's firmware does not keep up with the bytes."""
LARGEST_ERROR = 0.02
_START, _STOP = 15, 8


def baud_divisor(clock_hz: int, baud: int) -> int:
    """Clock cycles of a bit.

    Raises
    ------
    InputError
        The clock is too slow, or no whole number of cycles comes within 2 % of the baud rate.
    """
    if baud < 1:
        raise InputError(f"baud rate must be at least 1, not {baud}")
    divisor = (2 * clock_hz + baud) // (2 * baud)
    smallest = BIT_INSTRUCTIONS * instruction_cycles(clock_hz)
    if divisor < smallest:
        raise InputError(
            f"baud rate must be at most 1/{smallest} of the clock, {clock_hz} Hz, not {baud}"
        )
    error = abs(clock_hz / divisor - baud) / baud
    if error > LARGEST_ERROR:
        raise InputError(
            f"baud rate must be within 2 % of a whole divisor of the clock, {clock_hz} Hz, "
            f"not {baud}: {error:.1%} off"
        )
    return divisor


class UARTReceiver(wiring.Component):
    """Bytes from a pin, each bit sampled once in its middle.

    While a byte arrives, the bits of the one before leave ``data`` at the bottom.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit, at least 4.

    Members
    -------
    rx : the pin, not synchronised
    data : the byte; stays until ``shift``
    valid : a byte has arrived (for one cycle)
    error : something has arrived that has no stop bit (for one cycle)
    shift : the next bit comes in, and ``data[0]`` leaves (for one cycle)
    index : number of that bit, 0 to 7
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__(
            {
                "rx": In(1, init=1),
                "data": Out(8),
                "valid": Out(1),
                "error": Out(1),
                "shift": Out(1),
                "index": Out(3),
            }
        )

    def elaborate(self, platform):
        m = Module()
        first, line = Signal(init=1), Signal(init=1)
        m.d.sync += [first.eq(self.rx), line.eq(first)]

        busy, count = Signal(), Signal(4, init=_START)
        timer = Signal(range(self.divisor), init=self.divisor // 2 - 1)
        sample = Signal()
        m.d.comb += [
            sample.eq(timer == 0),
            self.index.eq(count),
            self.shift.eq(sample & ~count[3]),
            self.valid.eq(sample & (count == _STOP) & line),
            self.error.eq(sample & (count == _STOP) & ~line),
        ]
        m.d.sync += timer.eq(Mux(sample, self.divisor - 1, timer - 1))
        with m.If(sample):
            m.d.sync += count.eq(count + 1)
        with m.If(self.shift):
            m.d.sync += self.data.eq(Cat(self.data[1:], line))
        with m.If(~busy):
            m.d.sync += [
                busy.eq(~line),
                count.eq(_START),
                timer.eq(self.divisor // 2 - 1),
            ]
        with m.Elif(sample & (count == _START)):
            m.d.sync += busy.eq(~line)
        with m.Elif(sample & (count == _STOP)):
            m.d.sync += busy.eq(0)
        return m


class UARTTransmitter(wiring.Component):
    """Bytes to a pin.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Members
    -------
    i : bytes
    tx : the pin
    shift : the next of a byte's bits goes to the pin (for one cycle)
    bit : its value
    index : its number, 0 to 7
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "tx": Out(1, init=1),
                "shift": Out(1),
                "bit": Out(1),
                "index": Out(3),
            }
        )

    def elaborate(self, platform):
        m = Module()
        busy, count = Signal(), Signal(4)
        timer = Signal(range(self.divisor))
        waiting = Signal(8, init=0xFF)
        end = Signal()
        m.d.comb += [
            end.eq(timer == self.divisor - 1),
            self.i.ready.eq(~busy),
            self.shift.eq(busy & end & ~count[3]),
            self.bit.eq(waiting[0]),
            self.index.eq(count),
        ]
        with m.If(~busy), m.If(self.i.valid):
            m.d.sync += [busy.eq(1), waiting.eq(self.i.payload), self.tx.eq(0)]
        with m.Else():
            m.d.sync += timer.eq(timer + 1)
            with m.If(end):
                m.d.sync += [
                    timer.eq(0),
                    count.eq(count + 1),
                    self.tx.eq(waiting[0]),
                    waiting.eq(Cat(waiting[1:], Const(1, 1))),
                ]
                # Bit 8 is the stop bit.
                with m.If(count == _STOP + 1):
                    m.d.sync += [count.eq(0), busy.eq(0)]
        return m
