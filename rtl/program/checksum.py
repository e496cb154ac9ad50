"""CRC-32 (that of zlib) of a stream of words, and its comparison with the words that carry it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Checksum"]

POLYNOMIAL = 0xEDB88320
"""Of CRC-32, the lowest power of x in the highest bit."""


class Checksum(wiring.Component):
    """CRC of all words so far.

    Words that carry it are checked one by one, each against the lowest bits of the CRC, and count
    as zeros: what came before them stays in what follows.

    Parameters
    ----------
    width : int
        Bits of a word: 8, 16, 32 or 64; the lowest bit counts first.
    start : int
        CRC of no words: 0 gives the usual one.

    Members
    -------
    clear : begins anew
    data : the word
    take : it belongs to what is checked
    check : it carries the CRC
    right : it is what it must be then
    """

    def __init__(self, width: int, start: int = 0):
        self.width, self.start = width, start
        super().__init__(
            {
                "clear": In(1),
                "data": In(width),
                "take": In(1),
                "check": In(1),
                "right": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self.width
        state, following = Signal(32, init=self.start ^ 0xFFFFFFFF), Signal(32)
        m.d.comb += self.right.eq(self.data == ~state[: min(32, width)])

        met, moved = Signal(width), Signal(32)
        m.d.comb += [
            met.eq(Mux(self.check, 0, self.data) ^ state),
            moved.eq(state >> width),
        ]
        effects = [_effect(bit, width) for bit in range(width)]
        for place in range(32):
            terms = [met[bit] for bit, effect in enumerate(effects) if effect >> place & 1]
            m.d.comb += following[place].eq(moved[place] ^ Cat(terms).xor())
        with m.If(self.take | self.check):
            m.d.sync += state.eq(following)
        with m.If(self.clear):
            m.d.sync += state.eq(state.init)
        return m


def _effect(bit: int, width: int) -> int:
    """What a bit that differs changes of the state, a word of ``width`` bits later."""
    state = 1 << bit
    for _ in range(width):
        state = state >> 1 ^ (POLYNOMIAL if state & 1 else 0)
    return state
