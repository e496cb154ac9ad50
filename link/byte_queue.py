"""Bytes that wait between a flash and the engine."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .words import BYTE_STREAM

__all__ = ["QUEUE_BYTES", "ByteQueue"]

QUEUE_BYTES = 256
"""A block of iCE40, with ``last``."""


class ByteQueue(wiring.Component):
    """Keeps bytes in block RAM: the flash goes on while the engine takes nothing, and the engine
    while the flash is at another address.

    ::

        i ─► memory ─► o

    A byte comes out two cycles after it has come in, at the earliest. One goes in each cycle, and
    one comes out every two cycles.

    Parameters
    ----------
    depth : int
        Bytes, a power of two.

    Members
    -------
    i, o : bytes
    """

    def __init__(self, depth: int = QUEUE_BYTES):
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
        head, tail, taken = Signal(bits + 1), Signal(bits + 1), Signal()
        m.d.comb += [
            self.i.ready.eq((head ^ tail) != self.depth),
            write.addr.eq(head[:bits]),
            write.data.eq(Cat(self.i.payload.data, self.i.payload.last)),
            write.en.eq(self.i.valid & self.i.ready),
            read.addr.eq(tail[:bits]),
            Cat(self.o.payload.data, self.o.payload.last).eq(read.data),
            taken.eq(self.o.valid & self.o.ready),
        ]
        with m.If(write.en):
            m.d.sync += head.eq(head + 1)
        # The engine says late in a cycle whether it takes a byte: the address does not depend on
        # that, and the byte at a new one takes a cycle to come out.
        m.d.sync += self.o.valid.eq((tail != head) & ~taken)
        with m.If(taken):
            m.d.sync += tail.eq(tail + 1)
        return m
