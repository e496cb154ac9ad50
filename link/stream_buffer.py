"""Ring buffer of a stream that a host sends piece by piece."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .protocol import CHECKSUM_BYTES

__all__ = ["BYTE_STREAM", "LENGTH_BITS", "StreamBuffer"]

BYTE_STREAM = stream.Signature(data.StructLayout({"data": 8, "last": 1}))
"""Bytes of a program or an image; ``last`` with the last one."""

LENGTH_BITS = 9
"""Bits of the length of a piece and of its CRC."""


class StreamBuffer(wiring.Component):
    """Bytes between the host's pieces and a stream.

    A byte lies where the low bits of its offset say. The bytes of a piece are written behind what
    is there, and are not seen before they are committed: what is not committed is written over by
    the next piece. The piece that ends a stream closes the buffer until all of it has been taken,
    so that the last byte needs no mark.

    Parameters
    ----------
    size : int
        Bytes, a power of two, 512 to 32,768; one less can be in use. 512 are one block RAM of an
        iCE40.

    Members
    -------
    begin : a new piece is going to begin (for one cycle)
    data, write : a byte of a piece or its CRC, number ``length``; left out if there is no room
    length : with ``commit``: bytes of the piece
    commit : take the piece, if ``fits`` (for one cycle)
    last : with ``commit``: the piece ends the stream
    fits : all bytes but the CRC's have found room
    offset : bytes committed so far
    room : bytes that fit
    o : the stream
    """

    def __init__(self, size: int = 512):
        self.size = size
        super().__init__(
            {
                "begin": In(1),
                "data": In(8),
                "write": In(1),
                "length": In(LENGTH_BITS),
                "commit": In(1),
                "last": In(1),
                "fits": Out(1),
                "offset": Out(16),
                "room": Out(16),
                "o": Out(BYTE_STREAM),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = ceil_log2(self.size)
        # No byte is read in the cycle that writes it, which costs registers where it must work.
        m.submodules.bytes = ring = memory.Memory(
            shape=8, depth=self.size, init=[], attrs={"no_rw_check": 1}
        )
        write, read = ring.write_port(), ring.read_port()
        closed, following = Signal(), Signal(16)
        at = Signal(bits)
        # One byte stays free, so that a full ring does not look empty.
        free = Signal(bits)
        # Room may come while a piece does: what comes after a byte that was left out is left out
        # too, and the CRC's bytes may be.
        finds_room, left_out = Signal(), Signal(range(CHECKSUM_BYTES + 2))
        m.d.comb += [
            following.eq(self.offset + self.length),
            free.eq(at + ~self.offset[:bits]),
            finds_room.eq((self.length < free) & ~closed & (left_out == 0)),
            self.fits.eq(left_out <= CHECKSUM_BYTES),
            write.addr.eq(following),
            write.data.eq(self.data),
            write.en.eq(self.write & finds_room),
        ]
        with m.If(~closed):
            m.d.comb += self.room.eq(free)
        with m.If(self.begin):
            m.d.sync += left_out.eq(0)
        with m.Elif(self.write & ~finds_room & self.fits):
            m.d.sync += left_out.eq(left_out + 1)
        with m.If(self.commit & self.fits):
            m.d.sync += [self.offset.eq(following), closed.eq(self.last)]

        taken = Signal()
        m.d.comb += [
            read.addr.eq(at),
            self.o.payload.data.eq(read.data),
            self.o.payload.last.eq(closed & (free == self.size - 2)),
            taken.eq(self.o.valid & self.o.ready),
        ]
        # The byte at a new address takes a cycle to come out.
        m.d.sync += self.o.valid.eq((free != self.size - 1) & ~taken)
        with m.If(taken):
            m.d.sync += at.eq(at + 1)
            with m.If(self.o.payload.last):
                m.d.sync += closed.eq(0)
        return m
