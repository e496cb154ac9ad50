"""Decoder of the mask code (`hiddenite.golden.rice`): words in, one piece a cycle out.

::

    word ─► bytes ► window of 3 bytes ─► piece: skip `run` weights, keep one or none
            (a byte a cycle)          ├─► the piece behind it, if both are short
                                      └─► a chunk of signs (`hiddenite.rtl.masks.dense_code`)

The window moves by whole bytes; the next piece begins in its first byte, and the longest one ends
in it wherever that is. So do two pieces of a code whose parameter is at most `MAX_PAIR_PARAMETER`:
where weights lie close together, a lane takes two in a step. It takes no two with signs.

How many words it takes depends on the code alone, never on when they come, so the compiler knows
their order: a lane takes a word when it has no byte left, and is left out when it has constructed
its share of the tile with a full window and a byte left.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hiddenite.golden.rice import RiceCode

from .shifter import select_bits, select_one

__all__ = [
    "MAX_PAIR_PARAMETER",
    "RUN_BITS",
    "WINDOW_BITS",
    "MaskExpander",
    "expander_signature",
    "is_pair",
]

WINDOW_BITS = 24
"""The longest piece, or chunk, wherever it begins in the first byte."""

RUN_BITS = RiceCode.MAX_PARAMETER + 3

MAX_PAIR_PARAMETER = 3
"""Largest parameter of pairs: with a larger one hardly any two end in two bytes."""

PAIR_PIECE = RiceCode.QUOTIENT + MAX_PAIR_PARAMETER
"""Bits of the longest piece of a pair."""

SECOND_BITS = MAX_PAIR_PARAMETER + 3
"""Bits of the run of the second piece of a pair."""


def is_pair(begin, end, parameter):
    """Whether a piece that keeps a weight may be taken in one step with the piece behind it.

    Those of a code without signs.

    Parameters
    ----------
    begin, end : int, numpy.ndarray or amaranth.hdl.Value
        Bits of the lane's masks before the piece, and behind it.
    parameter : int or amaranth.hdl.Value
        Parameter of the code.
    """
    # However long the second one is, both end in two bytes, from that in which the first begins:
    # the window moves on by no more than one.
    at_most = 15 - RiceCode.QUOTIENT - parameter
    return (parameter <= MAX_PAIR_PARAMETER) & (end - (begin >> 3 << 3) <= at_most)


def expander_signature(program_bits: int, chunk_bits: int, *, pairs: bool = False) -> dict:
    """Members of a decoder of one lane's masks.

    Parameters
    ----------
    program_bits : int
        Width of a word.
    chunk_bits : int
        Bits that are taken at once of a dense layer.
    pairs : bool
        Whether two pieces may be taken in a step; otherwise the last four members are missing.

    Members
    -------
    clear : forgets all bits (before a program)
    start_layer : the bits that follow are of a new layer
    i : words of the program
    parameter, signed : of the code
    dense : the code is a `hiddenite.rtl.masks.dense_code.DenseCode`
    full : takes no word before the next step
    valid, run, keep : a step is there; weights that it skips; whether it keeps the one after them
    negative : the sign of the weight that is kept, if the code is signed
    chunk : takes the place of run, keep and negative in a dense layer
    chunk_valid : a chunk of coded signs is there
    take : goes on to the next step; only if one is there
    whole : the next step begins a piece of the code
    pair, second_run, second_keep : so is a second piece; `keep` is 1
    take_second : goes on to the step behind that one; only with ``take``, and if there is a pair
    """
    second = {
        "pair": Out(1),
        "second_run": Out(SECOND_BITS),
        "second_keep": Out(1),
        "take_second": In(1),
    }
    return {
        "clear": In(1),
        "start_layer": In(1),
        "i": In(stream.Signature(program_bits)),
        "parameter": In(range(RiceCode.MAX_PARAMETER + 2)),
        "signed": In(1),
        "dense": In(1),
        "full": Out(1),
        "valid": Out(1),
        "run": Out(RUN_BITS),
        "keep": Out(1),
        "negative": Out(1),
        "chunk": Out(chunk_bits),
        "chunk_valid": Out(1),
        "take": In(1),
        "whole": Out(1),
        **(second if pairs else {}),
    }


class MaskExpander(wiring.Component):
    """Bits of one lane's masks, as pieces. Members: see `expander_signature`.

    Parameters
    ----------
    program_bits : int
        Width of a word.
    chunk_bits : int
        Bits that are taken at once of a dense layer.
    period : int
        Cycles from piece to piece, at least: 1, or 2 with registers behind the decoder. With 2,
        `i.ready` comes from registers, too.
    """

    def __init__(self, program_bits: int, chunk_bits: int, period: int = 1):
        self.program_bits, self.chunk_bits, self.period = program_bits, chunk_bits, period
        super().__init__(expander_signature(program_bits, chunk_bits, pairs=True))

    def elaborate(self, platform):
        m = Module()
        longest, quotient = RiceCode.MAX_PARAMETER, RiceCode.QUOTIENT
        waiting, count = Signal(self.program_bits), Signal(range(self.program_bits // 8 + 1))
        # Where the piece begins, and how many bytes the window is short of.
        window, offset = Signal(WINDOW_BITS), Signal(3)
        # Offset and parameter: from there to the second piece of a pair are the ones of the first
        # one, and its zero.
        second_offset = Signal(range(8 + MAX_PAIR_PARAMETER))
        missing = Signal(range(WINDOW_BITS // 8 + 1), init=WINDOW_BITS // 8)

        view = select_bits(m, window, offset, max(2 * PAIR_PIECE, self.chunk_bits))
        ones = _leading_ones(m, view[:quotient])
        keep, run = Signal(), Signal(RUN_BITS)
        m.d.comb += keep.eq(ones != quotient)
        # Below bit k the remainder, from there on the quotient. A sign stands in front of both.
        behind_ones = Mux(self.signed, view[2:], view[1:])[: longest + quotient - 1]
        low = select_bits(m, behind_ones, ones[:2], longest)
        below = Signal(RUN_BITS)
        m.d.comb += below.eq(Cat(self.parameter > bit for bit in range(longest)))
        for bit in range(RUN_BITS):
            high = 0
            for place in reversed(range(min(len(ones), bit + 1))):
                here = ones[place]
                high = Mux(below[bit - place - 1], here, high) if bit > place else here
            remainder = low[bit] & keep if bit < longest else 0
            m.d.comb += run[bit].eq(Mux(below[bit], remainder, high))
        # Where the piece ends, what lies behind it if it is short, and whether both are a pair: all
        # are worked out for each number of ones while they are counted.
        end = Signal(range(8 + max(RiceCode.MAX_PIECE, self.chunk_bits)))
        shortest = Signal.like(end)
        m.d.comb += shortest.eq(offset + (self.parameter + self.signed) + 1)
        ends = [shortest + q for q in range(quotient)]
        behind = select_bits(m, window[1:], second_offset, PAIR_PIECE + quotient - 1)
        # Where the first zero is, one bit each, so that less hangs on `ones`.
        first_zero = Cat(view[:q].all() & ~view[q] for q in range(quotient))
        second_ones, second_view = Signal.like(ones), Signal(PAIR_PIECE)
        seconds = [behind[q : q + PAIR_PIECE] for q in range(quotient)]
        counts = [_leading_ones(m, behind[q : q + quotient]) for q in range(quotient)]
        fits = [Signal(name=f"fits_{q}") for q in range(quotient)]
        with m.Switch(self.parameter):
            for parameter in range(MAX_PAIR_PARAMETER + 1):
                with m.Case(parameter):
                    for q, fit in enumerate(fits):
                        allowed = [is_pair(0, at + q + 1 + parameter, parameter) for at in range(8)]
                        m.d.comb += fit.eq(Cat(map(C, allowed)).bit_select(offset, 1))
        moves, some, missing_then = Signal(), Signal(), Signal.like(missing)
        m.d.comb += some.eq(count != 0)
        there = missing == 0
        if self.period > 1:
            # A chunk goes past the registers: the window's last byte may come beside this.
            there = (there | (self.dense & (missing == 1) & some)) & ~self.take
        chosen = Cat(first_zero, view[:quotient].all()) & ~self.dense.replicate(quotient + 1)
        chosen = Cat(chosen, self.dense)
        step = m.d["comb" if self.period == 1 else "sync"]
        step += [
            self.run.eq(run),
            self.keep.eq(keep),
            self.negative.eq((view[1 : 1 + quotient] & first_zero).any()),
            self.valid.eq(there),
            self.chunk_valid.eq(there & self.dense & self.signed),
            end.eq(select_one([*ends, offset + quotient, offset + self.chunk_bits], chosen)),
            second_view.eq(select_one(seconds, first_zero)),
            second_ones.eq(select_one(counts, first_zero)),
            self.pair.eq(select_one(fits, first_zero) & ~self.signed),
        ]

        second_end = Signal(4)
        m.d.comb += [
            self.second_keep.eq(second_ones != quotient),
            second_end.eq(end + second_ones + Mux(self.second_keep, self.parameter[:2] + 1, 0)),
        ]
        remainder = select_bits(m, second_view[1:], second_ones[:2], MAX_PAIR_PARAMETER)
        with m.Switch(self.parameter[:2]):
            for parameter in range(MAX_PAIR_PARAMETER + 1):
                with m.Case(parameter):
                    own = remainder[:parameter] & self.second_keep.replicate(parameter)
                    m.d.comb += self.second_run.eq(Cat(own, second_ones))
        m.d.comb += [
            self.chunk.eq(view),
            self.full.eq((missing == 0) & (count != 0)),
            self.whole.eq(1),
        ]

        # All that may come of a step is known before it is known what does.
        def after(short):
            """Whether the window moves if it is short of so many bytes, and of how many then."""
            return Cat((short != 0) & some, (short - ((short != 0) & some))[: len(missing)])

        moved = Mux(self.take, after(end >> 3), after(missing))
        m.d.comb += [
            Cat(moves, missing_then).eq(Mux(self.take_second, after(second_end >> 3), moved)),
            self.i.ready.eq((count == 0) | ((count == 1) & moves if self.period == 1 else 0)),
        ]
        m.d.sync += missing.eq(missing_then)
        offsets = [place[:3] for place in (second_end, end)]
        further = [place + self.parameter[:2] for place in offsets]
        with m.If(self.take):
            m.d.sync += [
                offset.eq(Mux(self.take_second, *offsets)),
                second_offset.eq(Mux(self.take_second, *further)),
            ]
        with m.If(self.start_layer):
            m.d.sync += second_offset.eq(offset + self.parameter[:2])
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


def _leading_ones(m: Module, bits) -> Signal:
    """How many ones the bits begin with."""
    ones = Signal(range(len(bits) + 1), init=len(bits))
    for number in reversed(range(len(bits))):
        with m.If(~bits[number]):
            m.d.comb += ones.eq(number)
    return ones
