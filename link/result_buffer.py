"""Ring buffer of result bytes, which stay until the host has them."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ResultBuffer"]

_RING = 256
_CONSTANTS = 256


class ResultBuffer(wiring.Component):
    """Bytes of beats, by offset modulo 65,536; and constant bytes in the rest of the block RAM.

    Parameters
    ----------
    constants : sequence of int
        At most 256 bytes.

    Members
    -------
    i : bytes of the result
    hold : takes none of them
    end : offset after the last byte that is there
    data, compare_low, compare_high : the two bytes of an offset that the host has, one after
        another; nothing may be taken between them and what uses ``known``
    known : that offset is that of a byte in the buffer or of the next one to come
    release : forget what comes before it (for one cycle)
    filled : there are bytes
    begin : ``read_offset`` becomes that of the first byte (for one cycle)
    read_offset, next, final : of the byte that is read; go on to the next; there is none after it
    constant, read_constant : number of a constant; ``read_data`` is that instead
    read_data : the byte, a cycle after its address
    """

    def __init__(self, constants: Sequence[int]):
        self.constants = list(constants)
        assert len(self.constants) <= _CONSTANTS
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "hold": In(1),
                "end": Out(16),
                "data": In(8),
                "compare_low": In(1),
                "compare_high": In(1),
                "known": Out(1),
                "release": In(1),
                "filled": Out(1),
                "begin": In(1),
                "read_offset": Out(16),
                "next": In(1),
                "final": Out(1),
                "constant": In(8),
                "read_constant": In(1),
                "read_data": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bytes = ring = memory.Memory(
            shape=8,
            depth=_RING + _CONSTANTS,
            init=[0] * _RING + self.constants,
            attrs={"no_rw_check": 1},
        )
        write, read = ring.write_port(), ring.read_port()
        used = Signal(8)
        taken = Signal()
        m.d.comb += [
            self.i.ready.eq(~self.hold & (used != _RING - 1)),
            taken.eq(self.i.valid & self.i.ready),
            write.addr.eq(self.end[:8]),
            write.data.eq(self.i.payload),
            write.en.eq(taken),
        ]
        with m.If(taken):
            m.d.sync += self.end.eq(self.end + 1)

        # Bytes after the host's offset, which must be no more than there are.
        after, borrow, near = Signal(8), Signal(), Signal()
        # One chain of carries: the borrow comes in below the lowest bit.
        difference = Signal(10)
        minuend = Mux(self.compare_high, self.end[8:], self.end[:8])
        m.d.comb += difference.eq(
            Cat(Const(0, 1), minuend) - Cat(borrow & self.compare_high, self.data)
        )
        with m.If(self.compare_low):
            m.d.sync += [after.eq(difference[1:]), borrow.eq(difference[9])]
        with m.If(self.compare_high):
            m.d.sync += near.eq(difference[1:9] == 0)
        m.d.comb += [self.known.eq(near & (after <= used)), self.filled.eq(used != 0)]
        with m.If(self.release):
            m.d.sync += used.eq(after)
        with m.Elif(taken):
            m.d.sync += used.eq(used + 1)

        at = Signal(8)
        with m.If(self.begin):
            m.d.sync += at.eq(self.end[:8] - used)
        with m.Elif(self.next):
            m.d.sync += at.eq(at + 1)
        m.d.comb += [
            self.final.eq((at + 1)[:8] == self.end[:8]),
            self.read_offset.eq(Cat(at, self.end[8:] - (self.end[:8] < at))),
            read.addr.eq(Mux(self.read_constant, self.constant + _RING, at)),
            self.read_data.eq(read.data),
        ]
        return m
