"""The class of a result: the number of its largest value."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .words import VALUE_BYTES

__all__ = ["Argmax"]


class Argmax(wiring.Component):
    """Number of the largest value, the first one of equal ones; for results of a 1x1 map.

    Each value takes eight cycles: in four its bytes are compared with those of the largest so far,
    in four they replace them if they are larger.

    Members
    -------
    i : values of a result, signed; ``last`` with the last one
    o : number of the largest value of the last whole result, 0 to 255
    """

    def __init__(self):
        values = stream.Signature(data.StructLayout({"data": 8 * VALUE_BYTES, "last": 1}))
        super().__init__({"i": In(values), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        largest, best, number = Signal(8 * VALUE_BYTES), Signal(8), Signal(8)
        count, borrow, begun = Signal(3), Signal(), Signal()
        byte, difference = Signal(8), Signal(9)
        replaces = Signal()
        # The top bit of a signed number the other way round makes it comparable.
        sign = (count[:2] == VALUE_BYTES - 1) << 7
        m.d.comb += [
            byte.eq(self.i.payload.data.word_select(count[:2], 8)),
            difference.eq((largest[:8] ^ sign) - (byte ^ sign) - borrow),
            replaces.eq(count[2] & (borrow | ~begun)),
            self.i.ready.eq(count == 7),
        ]
        with m.If(self.i.valid):
            m.d.sync += [count.eq(count + 1), largest.eq(largest.rotate_right(8))]
            with m.If(~count[2]):
                m.d.sync += borrow.eq(difference[8])
            with m.If(replaces):
                m.d.sync += largest[-8:].eq(byte)
            with m.If(self.i.ready):
                m.d.sync += [number.eq(number + 1), begun.eq(1), borrow.eq(0)]
                with m.If(replaces):
                    m.d.sync += best.eq(number)
                with m.If(self.i.payload.last):
                    m.d.sync += [self.o.eq(best), number.eq(0), begun.eq(0)]
                    with m.If(replaces):
                        m.d.sync += self.o.eq(number)
        return m
