"""Bytes to and from an SPI flash."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["SPIMaster", "bit_cycles"]

_FASTEST_HZ = 30_000_000


def bit_cycles(clock_hz: int) -> int:
    """Cycles of a bit, a power of two: at most 30 MHz, as flashes read slowly (command 03h)."""
    return 1 << max(1, ceil_log2(-(-clock_hz // _FASTEST_HZ)))


class SPIMaster(wiring.Component):
    """A byte out and a byte in, most significant bit first, in mode 0.

    Parameters
    ----------
    cycles : int
        Of a bit, a power of two from 2.

    Members
    -------
    sck, mosi, miso : pins
    load : `i` goes out (for one cycle)
    start : a byte begins (for one cycle, with `load` or without)
    stop : the byte that is on its way ends at once
    ready : the byte is complete
    i, o : bytes
    shift : a bit comes in, `miso` (for one cycle)
    """

    sck: Out(1)
    mosi: Out(1)
    miso: In(1)
    load: In(1)
    start: In(1)
    stop: In(1)
    ready: Out(1)
    i: In(8)
    o: Out(8)
    shift: Out(1)

    def __init__(self, cycles: int):
        self.cycles = cycles
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        # The top bit while a byte is on its way, the number of the bit, the cycle of the bit.
        count = Signal(range(2 * 8 * self.cycles))
        of_bit = count[: ceil_log2(self.cycles)]
        m.d.comb += [
            self.ready.eq(~count[-1]),
            self.sck.eq(count[-1] & of_bit[-1]),
            self.shift.eq(count[-1] & of_bit.all()),
            self.mosi.eq(self.o[-1]),
        ]
        with m.If(self.stop):
            m.d.sync += count.eq(0)
        with m.Elif(self.start):
            m.d.sync += count.eq(8 * self.cycles)
        with m.Elif(count[-1]):
            m.d.sync += count.eq(count + 1)
        with m.If(self.load):
            m.d.sync += self.o.eq(self.i)
        with m.Elif(self.shift):
            m.d.sync += self.o.eq(Cat(self.miso, self.o))
        return m
