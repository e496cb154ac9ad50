"""Signs of one lane's weights, a word at a time: `hiddenite.golden.weights` in hardware.

::

    program ─► key ─┐          ┌──────────── turned by ich bits ───────────┐
                    ├─► adder ─┴─► xorshift32 after 32 bits ─► x ─► signs ─► shifter ─► ich signs
    constants ──────┘                                          └──────────┘

Key and x are rings that turn by ich bits a cycle, so that the adder has ich bits and the signs of
the next word always lie at the end of x. After 32 bits x takes a step of the generator.
"""

import enum

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hiddenite.golden.weights import KEY_CHANNEL, KEY_INDEX, WORD_BITS

from ..configuration import Configuration
from .shifter import select_bits
from .timing import step_period

__all__ = ["SignGenerator", "channel_cycles", "turn_cycles", "xorshift32"]


def turn_cycles(c: Configuration) -> int:
    """Cycles in which a ring turns once: an addition to the key, or a step of the generator."""
    return WORD_BITS // c.ich


def channel_cycles(c: Configuration) -> int:
    """Cycles from the end of a channel until the next one's first signs are there."""
    return 2 * turn_cycles(c) + 1


def xorshift32(x):
    """Next state of the generator (Marsaglia 2003), combinational."""
    x = x ^ (x << 13)[:32]
    x = x ^ (x >> 17)
    return x ^ (x << 5)[:32]


class _Phase(enum.IntEnum):
    """What turns the rings."""

    VALID = 0
    """Nothing but the words that are taken."""
    FILL = 1
    """A row begins, on a fresh word of the generator."""
    WEYL = 2
    """Weyl constant and second scramble of a channel's key."""
    KEY = 3
    """The next channel's key and its first scramble."""
    LANE = 4
    """The key of the lane's first channel."""


class SignGenerator(wiring.Component):
    """Generates the signs of the output channels lane, lane + lanes, ... of a layer.

    A channel's first word takes `channel_cycles`, from the end of the channel before.

    Parameters
    ----------
    c : Configuration
    lane : int
        Number of the lane.

    Members
    -------
    key_word : `key` is the next word of the layer's key, lowest first: that of the channel which
        stands one turn of the lanes before output channel 0
    key : a word of the program, or the part of it that is needed
    start_layer : a new layer begins, with the key that came last
    valid, signs : the next word's signs are there, from its first weight on
    advance : goes on to the next word; only if this one is there
    last : number of the word's weights - 1
    row_ends, channel_ends : the word is the last one of its row, of its channel
    """

    def __init__(self, c: Configuration, lane: int):
        self.c = c
        self.lane = lane
        super().__init__(
            {
                "key_word": In(1),
                "key": In(min(WORD_BITS, c.program_bits)),
                "start_layer": In(1),
                "valid": Out(1),
                "signs": Out(c.ich),
                "advance": In(1),
                "last": In(ceil_log2(c.ich)),
                "row_ends": In(1),
                "channel_ends": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, size = self.c, self.c.ich
        turns = turn_cycles(c)
        first = KEY_CHANNEL * self.lane % (1 << WORD_BITS)
        following = KEY_CHANNEL * c.constructor_lanes % (1 << WORD_BITS)

        key, x = Signal(WORD_BITS), Signal(WORD_BITS)
        # How far x and key have been turned, in parts of ich bits.
        turn, turn_ends = Signal(range(turns)), Signal()
        # The part of x that was turned away last, and where the word begins in it.
        part, place, next_place = Signal(size), Signal(ceil_log2(size)), Signal(range(2 * size))
        # The next word begins in the next part of x; the word ends behind its first one. Known a
        # cycle before where a lane takes two from word to word.
        part_ends, behind = Signal(), Signal()
        m.d["comb" if step_period(c) == 1 else "sync"] += [
            part_ends.eq(next_place[-1]),
            behind.eq(next_place > size),
        ]
        m.d.comb += [
            turn_ends.eq(turn == turns - 1),
            next_place.eq(place + self.last + 1),
            self.signs.eq(select_bits(m, Cat(part, x)[: 2 * size - 1], place, size)),
        ]

        # The adder turns the ring: what it gives enters at the other end.
        turn_x, turn_key = Signal(), Signal()
        addend, total, carry = Signal(size), Signal(size + 1), Signal()
        m.d.comb += total.eq(Mux(turn_key, key[:size], x[:size]) + addend + carry)
        turned = Cat(x, total[:size])[size:]
        scrambled = Mux(turn_ends, xorshift32(turned), turned)
        # Only 0 is followed by 0.
        nonzero, zero = Signal(), Signal()
        m.d.comb += zero.eq(turn_ends & ~turn_key & ~nonzero & ~total[:size].any())
        with m.If(turn_x):
            m.d.sync += [
                turn.eq(turn + 1),
                x.eq(scrambled | zero),
                part.eq(x),
                carry.eq(total[-1] & ~turn_ends),
                nonzero.eq((nonzero | total[:size].any()) & ~turn_ends),
            ]
        with m.If(turn_key):
            m.d.sync += key.eq(Cat(key, total[:size])[size:])

        def add(constant):
            """Add a constant's part of this turn."""
            for number in range(turns):
                with m.If(turn == number):
                    m.d.comb += addend.eq((constant >> number * size) & ((1 << size) - 1))

        phase = Signal(range(_Phase.LANE + (first > 0)))
        m.d.comb += [
            turn_x.eq(phase != _Phase.VALID),
            turn_key.eq((phase == _Phase.KEY) | (phase == _Phase.LANE)),
        ]
        with m.Switch(phase):
            with m.Case(_Phase.VALID):
                m.d.comb += self.valid.eq(1)
                with m.If(self.advance):
                    m.d.comb += turn_x.eq(part_ends | self.row_ends)
                    m.d.sync += place.eq(Mux(self.row_ends, 0, next_place))
                    # Some of x is left over.
                    with m.If(self.row_ends & ((turn != 0) | behind)):
                        m.d.sync += phase.eq(_Phase.FILL)
                    with m.If(self.channel_ends):
                        m.d.sync += [phase.eq(_Phase.KEY), turn.eq(0)]
            with m.Case(_Phase.FILL), m.If(turn == 0):
                m.d.sync += phase.eq(_Phase.VALID)
            if first:
                with m.Case(_Phase.LANE):
                    add(first)
                    with m.If(turn_ends):
                        m.d.sync += phase.eq(_Phase.KEY)
            with m.Case(_Phase.KEY):
                add(following)
                with m.If(turn_ends):
                    m.d.sync += phase.eq(_Phase.WEYL)
            with m.Case(_Phase.WEYL):
                add(KEY_INDEX)
                with m.If(turn_ends):
                    m.d.sync += phase.eq(_Phase.FILL)
        # It may come while the channel behind the last one is prepared.
        with m.If(self.key_word):
            m.d.sync += [
                key.eq(Cat(key, self.key)[len(self.key) :]),
                turn.eq(0),
                carry.eq(0),
                phase.eq(_Phase.VALID),
            ]
        with m.If(self.start_layer):
            m.d.sync += phase.eq(_Phase.LANE if first else _Phase.KEY)
        return m
