"""Bytes into the words of the engine's streams, and back."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

__all__ = ["BYTE_STREAM", "VALUE_BYTES", "WordAssembler", "WordSplitter"]

VALUE_BYTES = 4
"""Bytes of a value of a result."""

BYTE_STREAM = stream.Signature(data.StructLayout({"data": 8, "last": 1}))
"""Bytes of a program or an image; ``last`` with the last one."""


class WordAssembler(wiring.Component):
    """Words of several bytes, least significant first.

    A stream that ends within a word gives a last word whose upper bytes are unknown: the engine
    then finds what is wrong with it.

    Parameters
    ----------
    width : int
        Bytes of a word, a power of two.

    Members
    -------
    i : bytes
    o : words; ``last`` with the word that has the last byte
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__(
            {
                "i": In(BYTE_STREAM),
                "o": Out(stream.Signature(data.StructLayout({"data": 8 * width, "last": 1}))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if self.width == 1:
            connect(m, flipped(self.i), flipped(self.o))
            return m
        count = Signal(range(self.width))
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.o.payload.data.word_select(count, 8).eq(self.i.payload.data),
                self.o.payload.last.eq(self.i.payload.last),
                count.eq(count + 1),
                self.o.valid.eq(self.i.payload.last | (count == self.width - 1)),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), count.eq(0)]
        return m


class WordSplitter(wiring.Component):
    """Bytes of words, least significant first.

    Parameters
    ----------
    width : int
        Bytes of a word, a power of two.

    Members
    -------
    i : words
    o : bytes
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"i": In(stream.Signature(8 * width)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        count = Signal(range(self.width))
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.o.payload.eq(self.i.payload.word_select(count, 8)),
            self.i.ready.eq(self.o.ready & (count == self.width - 1)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += count.eq(count + 1)
        return m
