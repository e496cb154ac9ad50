"""Decoder of the mask code (`hiddenite.golden.rice`): words in, one piece a cycle out.

::

    word ─► bytes ► window of 3 bytes ─► piece: skip `run` weights, keep one or none
            (a byte a cycle)          └─► the piece behind it, if both are short

The window moves by whole bytes; the next piece begins in its first byte, and the longest one ends
in it wherever that is. So do two pieces of a code whose parameter is at most `MAX_PAIR_PARAMETER`:
where weights lie close together, a lane takes two in a step.

How many words it takes depends on the code alone, never on when they come, so the compiler knows
their order: a lane takes a word when it has no byte left, and is left out when it has constructed
its share of the tile with a full window and a byte left.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
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
"""The longest piece wherever it begins in the first byte."""

RUN_BITS = RiceCode.MAX_PARAMETER + 3

MAX_PAIR_PARAMETER = RiceCode.MAX_PIECE // 2 - RiceCode.QUOTIENT
"""Largest parameter with which two pieces are no longer than the longest one."""

PAIR_PIECE = RiceCode.MAX_PIECE // 2
"""Bits of the longest piece of a pair."""

SECOND_BITS = MAX_PAIR_PARAMETER + 3
"""Bits of the run of the second piece of a pair."""


def is_pair(begin, end, parameter):
    """Whether a piece that keeps a weight may be taken in one step with the piece behind it.

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


def expander_signature(program_bits: int, *, pairs: bool = False) -> dict:
    """Members of a decoder of one lane's masks.

    Parameters
    ----------
    program_bits : int
        Width of a word.
    pairs : bool
        Whether two pieces may be taken in a step; otherwise the last four members are missing.

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
        "parameter": In(range(RiceCode.MAX_PARAMETER + 1)),
        "full": Out(1),
        "valid": Out(1),
        "run": Out(RUN_BITS),
        "keep": Out(1),
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
    period : int
        Cycles from piece to piece, at least: 1, or 2 with registers behind the decoder. With 2,
        `i.ready` comes from registers, too.
    """

    def __init__(self, program_bits: int, period: int = 1):
        self.program_bits, self.period = program_bits, period
        super().__init__(expander_signature(program_bits, pairs=True))

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

        view = select_bits(m, window, offset, RiceCode.MAX_PIECE)
        ones = _leading_ones(m, view[:quotient])
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
        # Where the piece ends, and what lies behind it if it is short: both are worked out for each
        # number of ones while they are counted.
        end = Signal(range(8 + RiceCode.MAX_PIECE))
        shortest = Signal.like(end)
        m.d.comb += shortest.eq(offset + self.parameter + 1)
        ends = [shortest + q for q in range(quotient)]
        behind = select_bits(m, window[1:], second_offset, PAIR_PIECE + quotient - 1)
        # Where the first zero is, one bit each, so that less hangs on `ones`.
        first_zero = Cat(view[:q].all() & ~view[q] for q in range(quotient))
        second_ones, second_view = Signal.like(ones), Signal(PAIR_PIECE)
        seconds = [behind[q : q + PAIR_PIECE] for q in range(quotient)]
        counts = [_leading_ones(m, behind[q : q + quotient]) for q in range(quotient)]
        step = m.d["comb" if self.period == 1 else "sync"]
        step += [
            self.run.eq(run),
            self.keep.eq(keep),
            self.valid.eq((missing == 0) & (~self.take if self.period > 1 else 1)),
            end.eq(select_one([*ends, offset + quotient], Cat(first_zero, view[:quotient].all()))),
            second_view.eq(select_one(seconds, first_zero)),
            second_ones.eq(select_one(counts, first_zero)),
        ]

        second_end = Signal(4)
        m.d.comb += [
            self.second_keep.eq(second_ones != quotient),
            second_end.eq(end + second_ones + Mux(self.second_keep, self.parameter[:2] + 1, 0)),
        ]
        remainder = select_bits(m, second_view[1:], second_ones[:2], MAX_PAIR_PARAMETER)
        short = self.parameter <= MAX_PAIR_PARAMETER
        with m.Switch(self.parameter[:2]):
            for parameter in range(MAX_PAIR_PARAMETER + 1):
                with m.Case(parameter):
                    own = remainder[:parameter] & self.second_keep.replicate(parameter)
                    m.d.comb += [
                        self.second_run.eq(Cat(own, second_ones)),
                        self.pair.eq(self.keep & short & is_pair(0, end, parameter)),
                    ]
        m.d.comb += [
            self.full.eq((missing == 0) & (count != 0)),
            self.whole.eq(1),
        ]

        # All that may come of a step is known before it is known what does.
        moves, some, missing_then = Signal(), Signal(), Signal.like(missing)
        m.d.comb += some.eq(count != 0)

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
