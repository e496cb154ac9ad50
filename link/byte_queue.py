"""Bytes that wait between a flash and the engine."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .words import BYTE_STREAM

__all__ = ["ByteQueue"]


class ByteQueue(wiring.Component):
    """Keeps bytes in block RAM: the flash goes on while the engine takes nothing, and the engine
    while the flash is at another address.

    ::

        i ─► memory ─► o

    A byte comes out two cycles after it has come in, at the earliest. One goes in and one comes out
    each cycle.

    Parameters
    ----------
    depth : int
        Bytes, a power of two. 256 are a block of iCE40.

    Members
    -------
    i, o : bytes
    """

    def __init__(self, depth: int = 256):
        self.depth = depth
        super().__init__({"i": In(BYTE_STREAM), "o": Out(BYTE_STREAM)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.bytes = ram = memory.Memory(
            shape=9, depth=self.depth, init=[], attrs={"no_rw_check": 1}
        )
        read, write = ram.read_port(), ram.write_port()
        # With a bit more than addresses, so that full and empty differ.
        bits = ceil_log2(self.depth)
        head, tail, following = (Signal(bits + 1) for _ in range(3))
        m.d.comb += [
            self.i.ready.eq((head ^ tail) != self.depth),
            write.addr.eq(head[:bits]),
            write.data.eq(Cat(self.i.payload.data, self.i.payload.last)),
            write.en.eq(self.i.valid & self.i.ready),
            following.eq(tail + (self.o.valid & self.o.ready)),
            read.addr.eq(following[:bits]),
            Cat(self.o.payload.data, self.o.payload.last).eq(read.data),
        ]
        with m.If(write.en):
            m.d.sync += head.eq(head + 1)
        # What is being written is read a cycle later.
        m.d.sync += [
            tail.eq(following),
            self.o.valid.eq(following != head),
        ]
        return m
