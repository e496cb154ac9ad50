"""Decoder of the mask code (`hiddenite.golden.rice`): words in, one piece a cycle out.

::

    word ─► hold ─► window of 32 bits ─► piece: skip `run` weights, keep one or none
            (a byte a cycle)

How many words it takes depends on the code alone, never on when they come, so the compiler knows
their order: a lane takes a word when its hold is empty, and is left out when it has constructed its
share of the tile with a full window and a hold that is not empty.
"""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hiddenite.golden.rice import RiceCode

__all__ = ["RUN_BITS", "WINDOW_BITS", "MaskExpander"]

WINDOW_BITS = 32
"""Twice the longest piece and a little, so that a byte a cycle nearly always keeps up."""

RUN_BITS = RiceCode.MAX_PARAMETER + 3


class MaskExpander(wiring.Component):
    """Bits of one lane's masks, as pieces.

    Parameters
    ----------
    program_bits : int
        Width of a word.

    Members
    -------
    clear : forgets all bits (before a program)
    i : words of the program
    parameter : parameter k of the code
    full : the window takes no more, and the hold is not empty
    valid, run, keep : a piece is there; weights that it skips; whether it keeps the one after them
    take : goes on to the next piece
    """

    def __init__(self, program_bits: int):
        self.program_bits = program_bits
        super().__init__(
            {
                "clear": In(1),
                "i": In(stream.Signature(program_bits)),
                "parameter": In(range(RiceCode.MAX_PARAMETER + 1)),
                "full": Out(1),
                "valid": Out(1),
                "run": Out(RUN_BITS),
                "keep": Out(1),
                "take": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        hold, held = Signal(self.program_bits), Signal(range(self.program_bits // 8 + 1))
        window, count = Signal(WINDOW_BITS), Signal(range(WINDOW_BITS + 1))

        ones = Signal(range(RiceCode.QUOTIENT + 1), init=RiceCode.QUOTIENT)
        for q in reversed(range(RiceCode.QUOTIENT)):
            with m.If(~window[q]):
                m.d.comb += ones.eq(q)
        m.d.comb += self.keep.eq(ones != RiceCode.QUOTIENT)
        low = Array(window[q + 1 :][: RiceCode.MAX_PARAMETER] for q in range(RiceCode.QUOTIENT))
        remainder = low[ones[:2]] & ((1 << self.parameter) - 1)
        length = Signal(range(RiceCode.MAX_PIECE + 1))
        m.d.comb += [
            length.eq(Mux(self.keep, ones + 1 + self.parameter, RiceCode.QUOTIENT)),
            self.run.eq((ones << self.parameter) + Mux(self.keep, remainder, 0)),
            self.valid.eq(count >= RiceCode.MAX_PIECE),
        ]

        used = Mux(self.take, length, 0)
        refill = Signal()
        m.d.comb += [
            refill.eq((count <= WINDOW_BITS - 8) & (held != 0)),
            self.i.ready.eq((held == 0) | ((held == 1) & refill)),
            self.full.eq((count > WINDOW_BITS - 8) & (held != 0)),
        ]
        m.d.sync += [
            window.eq(
                (window >> used) | (Mux(refill, hold[:8], 0) << (count - used)[: len(count)])
            ),
            count.eq(count - used + Mux(refill, 8, 0)),
        ]
        with m.If(refill):
            m.d.sync += [hold.eq(hold >> 8), held.eq(held - 1)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [hold.eq(self.i.payload), held.eq(self.program_bits // 8)]
        with m.If(self.clear):
            m.d.sync += [held.eq(0), count.eq(0), window.eq(0)]
        return m
