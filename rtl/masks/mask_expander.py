"""Decoder of the mask code (`hiddenite.golden.rice`): words in, one piece a cycle out.

::

    word ─► bytes ► window of 3 bytes ─► piece: skip `run` weights, keep one or none
            (a byte a cycle)

The window moves by whole bytes; the next piece begins in its first byte, and the longest one ends
in it wherever that is.

How many words it takes depends on the code alone, never on when they come, so the compiler knows
their order: a lane takes a word when it has no byte left, and is left out when it has constructed
its share of the tile with a full window and a byte left.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hiddenite.golden.rice import RiceCode

from .shifter import select_bits

__all__ = ["RUN_BITS", "WINDOW_BITS", "MaskExpander", "expander_signature"]

WINDOW_BITS = 24
"""The longest piece wherever it begins in the first byte."""

RUN_BITS = RiceCode.MAX_PARAMETER + 3


def expander_signature(program_bits: int) -> dict:
    """Members of a decoder of one lane's masks.

    Members
    -------
    clear : forgets all bits (before a program)
    start_layer : the bits that follow are of a new layer
    i : words of the program
    parameter : parameter k of the code
    full : takes no word before the next step
    valid, run, keep : a step is there; weights that it skips; whether it keeps the one after them
    take : goes on to the next step; only if one is there
    whole : the next step begins a piece of the code
    """
    return {
        "clear": In(1),
        "start_layer": In(1),
        "i": In(stream.Signature(program_bits)),
        "parameter": In(range(RiceCode.MAX_PARAMETER + 1)),
        "full": Out(1),
        "valid": Out(1),
        "run": Out(RUN_BITS),
        "keep": Out(1),
        "take": In(1),
        "whole": Out(1),
    }


class MaskExpander(wiring.Component):
    """Bits of one lane's masks, as pieces. Members: see `expander_signature`.

    Parameters
    ----------
    program_bits : int
        Width of a word.
    period : int
        Cycles from piece to piece, at least: 1, or 2 with registers behind the decoder. With 2,
        `i.ready` comes from registers, too.
    """

    @staticmethod
    def word_cycles(program_bits: int, period: int) -> int:
        """Cycles from word to word, where a lane waits for nothing else.

        A byte moves on a cycle. With two cycles from piece to piece, the next word is asked for
        when the last byte of the one before has moved on.
        """
        return program_bits // 8 + period - 1

    def __init__(self, program_bits: int, period: int = 1):
        self.program_bits, self.period = program_bits, period
        super().__init__(expander_signature(program_bits))

    def elaborate(self, platform):
        m = Module()
        longest, quotient = RiceCode.MAX_PARAMETER, RiceCode.QUOTIENT
        waiting, count = Signal(self.program_bits), Signal(range(self.program_bits // 8 + 1))
        # Where the piece begins, and how many bytes the window is short of.
        window, offset = Signal(WINDOW_BITS), Signal(3)
        missing = Signal(range(WINDOW_BITS // 8 + 1), init=WINDOW_BITS // 8)

        view = select_bits(m, window, offset, RiceCode.MAX_PIECE)
        ones = Signal(range(quotient + 1), init=quotient)
        for q in reversed(range(quotient)):
            with m.If(~view[q]):
                m.d.comb += ones.eq(q)
        keep, run = Signal(), Signal(RUN_BITS)
        m.d.comb += keep.eq(ones != quotient)
        # Below bit k the remainder, from there on the quotient.
        low = select_bits(m, view[1:], ones[:2], longest)
        below = Signal(RUN_BITS)
        m.d.comb += below.eq(Cat(self.parameter > bit for bit in range(longest)))
        for bit in range(RUN_BITS):
            high = 0
            for place in reversed(range(min(len(ones), bit + 1))):
                here = ones[place]
                high = Mux(below[bit - place - 1], here, high) if bit > place else here
            remainder = low[bit] & keep if bit < longest else 0
            m.d.comb += run[bit].eq(Mux(below[bit], remainder, high))
        # Where the piece ends: what is known before the ones are counted, and they.
        end = Signal(range(8 + RiceCode.MAX_PIECE))
        before, counted = Signal.like(end), Signal.like(ones)
        step = m.d["comb" if self.period == 1 else "sync"]
        step += [
            self.run.eq(run),
            self.keep.eq(keep),
            self.valid.eq((missing == 0) & (~self.take if self.period > 1 else 1)),
            before.eq(Mux(keep, offset + self.parameter + 1, offset)),
            counted.eq(ones),
        ]
        m.d.comb += end.eq(before + counted)
        m.d.comb += [
            self.full.eq((missing == 0) & (count != 0)),
            self.whole.eq(1),
        ]

        short, moves = Signal.like(missing), Signal()
        m.d.comb += [
            short.eq(Mux(self.take, end >> 3, missing)),
            moves.eq((short != 0) & (count != 0)),
            self.i.ready.eq((count == 0) | ((count == 1) & moves if self.period == 1 else 0)),
        ]
        m.d.sync += missing.eq(short - moves)
        with m.If(self.take):
            m.d.sync += offset.eq(end)
        with m.If(moves):
            m.d.sync += [
                window.eq(Cat(window[8:], waiting[:8])),
                waiting.eq(waiting >> 8),
                count.eq(count - 1),
            ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [waiting.eq(self.i.payload), count.eq(self.program_bits // 8)]
        with m.If(self.clear):
            m.d.sync += [count.eq(0), missing.eq(missing.init), offset.eq(0)]
        return m
