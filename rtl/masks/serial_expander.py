"""Small decoder of the mask code (`hiddenite.golden.rice`): words in, a few bits a cycle out.

::

    word ─► two bits at a time ─► step: skip `run` weights, keep one or none
        └─► a chunk of signs (`hiddenite.rtl.masks.dense_code`)

A step is one or two ones of a quotient, the zero behind it with the first bit of the remainder or
the sign, or another bit of the remainder; no step has bits of two words. One register has the
weight of the bit in hand: 1 for the first bit of a remainder, twice as much for each that follows,
and what it has come to behind the last one is that of the ones.

How many words it takes depends on the code alone: one as soon as it has none. Chunks begin with a
fresh word in each layer.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring

from hiddenite.golden.rice import RiceCode

from .mask_expander import expander_signature

__all__ = ["SerialMaskExpander"]


class SerialMaskExpander(wiring.Component):
    """Bits of one lane's masks, as steps. Members: see `expander_signature`.

    Parameters
    ----------
    program_bits : int
        Width of a word.
    chunk_bits : int
        Bits that are taken at once of a dense layer; they divide the word.
    """

    def __init__(self, program_bits: int, chunk_bits: int):
        self.program_bits, self.chunk_bits = program_bits, chunk_bits
        super().__init__(expander_signature(program_bits, chunk_bits))

    def elaborate(self, platform):
        m = Module()
        bits, size, longest = self.program_bits, self.chunk_bits, RiceCode.MAX_PARAMETER
        dense, signed = self.dense, self.signed

        # The word turns by pairs; the next bit is one of the first pair.
        word, there, place = Signal(bits), Signal(), Signal(range(bits))
        bit, next_bit = Signal(), Signal()
        two, both, word_ends, step = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            bit.eq(Mux(place[0], word[1], word[0])),
            next_bit.eq(Mux(place[0], word[2], word[1])),
            self.chunk.eq(bit if size == 1 else word[:size]),
            # The next bit is of this word, too.
            two.eq(~place.all()),
            word_ends.eq(place[1:].all() & (place[0] | both)),
            step.eq(self.take & ~dense),
            self.full.eq(there),
            self.i.ready.eq(~there | (self.take & word_ends)),
        ]
        with m.If(self.take):
            m.d.sync += [place.eq(Mux(dense, place + size, place + 1 + both)), there.eq(~word_ends)]
            with m.If(step & (place[0] | both)):
                m.d.sync += word.eq(word >> 2)
        with m.If(dense):
            m.d.comb += word_ends.eq((place + size)[len(place)])
            if size < bits:
                with m.If(self.take & (place[0] if size == 1 else 1)):
                    m.d.sync += word.eq(word >> max(2, size))
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [word.eq(self.i.payload), there.eq(1)]

        # Twice the weight of the bit in hand. In front of a layer it grows from 1 / 2 to what it is
        # behind a remainder. That of a sign is 1 / 2, too, so that it adds nothing to the run.
        weight = Signal(longest + 2)
        ones, remainder, settling = Signal(range(RiceCode.QUOTIENT)), Signal(), Signal()
        single, double, stops, grown = (Signal() for _ in range(4))
        m.d.comb += [
            grown.eq(weight.bit_select(self.parameter, 1)),
            self.valid.eq(there & (~settling | dense)),
            self.chunk_valid.eq(there & dense & signed),
            self.whole.eq((ones == 0) & ~remainder),
            stops.eq(~bit & ~remainder),
            double.eq(bit & ~remainder & next_bit & two & ~ones[0]),
            single.eq(bit & ~double),
            # The zero brings the sign or the first bit of the remainder along, or is a piece's last
            # bit.
            both.eq(double | (stops & two & ((self.parameter != 0) | signed))),
            self.run.eq(
                (single.replicate(longest + 1) & weight[1:])
                | (double.replicate(longest + 2) & weight)
            ),
            self.keep.eq(
                Mux(
                    stops,
                    Mux(signed, both & (self.parameter == 0), self.parameter == both),
                    remainder & grown,
                )
            ),
        ]
        with m.If(stops & both & next_bit & ~signed):
            m.d.comb += self.run[0].eq(1)
        # The sign comes with the zero, or alone behind it.
        sign = Signal()
        m.d.comb += self.negative.eq(Mux(stops, next_bit, Mux(weight[0], bit, sign)))
        with m.If(settling | (step & remainder)):
            m.d.sync += weight.eq(weight << 1)
        with m.If(settling & grown):
            m.d.sync += settling.eq(0)
        with m.If(step):
            m.d.sync += [
                ones.eq(Mux(bit & ~remainder, ones + 1 + double, 0)),
                remainder.eq((remainder | stops) & ~self.keep),
                sign.eq(self.negative),
            ]
            with m.If(stops):
                m.d.sync += weight.eq(Cat(signed & ~both, signed == both, both & ~signed))
        with m.If(self.start_layer):
            m.d.sync += [weight.eq(1), settling.eq(1)]
        with m.If(self.clear | (self.start_layer & dense)):
            m.d.sync += [there.eq(0), place.eq(0)]
        with m.If(self.clear):
            m.d.sync += [remainder.eq(0), ones.eq(0)]
        return m
