"""A program in block RAM."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .words import BYTE_STREAM

__all__ = ["ROM_BYTE_CYCLES", "ProgramROM"]

ROM_BYTE_CYCLES = 2
"""Cycles of a byte that is taken at once."""


class ProgramROM(wiring.Component):
    """Gives a program over and over.

    Parameters
    ----------
    program : bytes
        At least one.

    Members
    -------
    own : it is wanted
    o : its bytes
    """

    def __init__(self, program: bytes):
        self.program = program
        super().__init__({"own": In(1), "o": Out(BYTE_STREAM)})

    def elaborate(self, platform):
        m = Module()
        size = len(self.program)
        m.submodules.bytes = rom = memory.Memory(shape=8, depth=size, init=list(self.program))
        read = rom.read_port()
        at, taken = Signal(range(size)), Signal()
        m.d.comb += [
            read.addr.eq(at),
            self.o.payload.data.eq(read.data),
            self.o.payload.last.eq(at == size - 1),
            taken.eq(self.o.valid & self.o.ready),
        ]
        # The byte at a new address takes a cycle to come out.
        m.d.sync += self.o.valid.eq(self.own & ~taken)
        with m.If(taken):
            m.d.sync += at.eq(at + 1)
            with m.If(self.o.payload.last):
                m.d.sync += at.eq(0)
        return m
