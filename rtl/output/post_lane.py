"""An output from a total: bias, scale, residual, rounding shift, clip.

::

    total ─► + bias ─► x scale ─► + ─► >> shift ─► round ─► clip ─► output
    residual ─► x residual scale ─┘
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..configuration import Configuration
from ..program.layer_table import FAR_SHIFT, SCALE_BITS

__all__ = ["PostLane", "lane_latency"]

WORD = 15
"""Bits of an unsigned factor of a DSP block that multiplies signed numbers of 16 bits."""


def lane_latency(c: Configuration) -> int:
    """Cycles of an output in its lane."""
    return PostLane.latency(c.pipelining > 0)


class PostLane(wiring.Component):
    """One output of a network's arithmetic.

    Parameters
    ----------
    accumulator_bits, bias_bits : int
    shifter : str
        See `hiddenite.rtl.configuration.Technology`.
    pipelined : bool
        Registers are around multiplications and between rounding and clip, too.

    Members
    -------
    total, bias, scale : of the channel; the sum of total and bias fits in ``bias_bits``
    residual, residual_int8, residual_scale : what is added, as it is stored; whether v is stored as
        v + 128; its scale
    shift, shift_far : of the layer
    int8, int32 : type of the output if not uint8
    output : its value
    """

    @staticmethod
    def latency(pipelined: bool) -> int:
        """Cycles from the inputs to the output, while ``advance`` is 1."""
        return 8 if pipelined else 5

    def __init__(self, accumulator_bits: int, bias_bits: int, shifter: str, pipelined: bool):
        self.bias_bits, self.shifter = bias_bits, shifter
        self.pipelined = pipelined
        super().__init__(
            {
                "advance": In(1),
                "total": In(accumulator_bits),
                "bias": In(signed(bias_bits)),
                "scale": In(signed(16)),
                "residual": In(8),
                "residual_int8": In(1),
                "residual_scale": In(SCALE_BITS),
                "shift": In(4),
                "shift_far": In(1),
                "int8": In(1),
                "int32": In(1),
                "output": Out(signed(32)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        def register(shape):
            return Signal(shape, reset_less=True)

        # Products in two parts, each of which a DSP block takes, with the addition behind it: of 16
        # bits (iCE40), or if that is not enough of 18.
        split = max(WORD, self.bias_bits - 17)
        value_bits = ((1 << self.bias_bits + 14) + (1 << 8 + SCALE_BITS)).bit_length() + 1
        # The bias takes the constant offset of the PEs off again: this is the true sum.
        total, scale = register(signed(self.bias_bits)), register(signed(16))
        added_low, added_high = register(9 + split), register(9 + SCALE_BITS - split)
        low, high = register(signed(split + 17)), register(signed(value_bits - split))
        total_value = Signal(signed(value_bits))
        value = register(signed(value_bits))
        m.d.comb += total_value.eq(low + (high << split))
        top = self.residual[7]
        residual = Cat(self.residual[:7], top ^ self.residual_int8, ~top & self.residual_int8)
        residual, factor_total, factor_scale = residual.as_signed(), total, scale
        if self.pipelined:
            # DSP blocks have registers of their own in front, too; another residual's is on the way
            # there, which is as long as the total's.
            (residual,) = self._registered(m, *self._registered(m, residual))
            factor_total, factor_scale = self._registered(m, total, scale)
        product_low = factor_total[:split] * factor_scale
        product_high = factor_total[split:].as_signed() * factor_scale
        if self.pipelined:
            product_low, product_high = self._registered(m, product_low, product_high)
        with m.If(self.advance):
            m.d.sync += [
                total.eq(self.total + self.bias),
                scale.eq(self.scale),
                added_low.eq(residual * self.residual_scale[:split]),
                added_high.eq(residual * self.residual_scale[split:]),
                low.eq(product_low + self._added(added_low)),
                high.eq(product_high + self._added(added_high)),
                value.eq(Mux(self.shift_far, total_value >> FAR_SHIFT, total_value)),
            ]
        shifted = self._multiplied if self.shifter == "multipliers" else self._selected
        rounded = Signal(signed(value_bits))
        m.d.comb += rounded.eq(shifted(m, value))
        if self.pipelined:
            (rounded,) = self._registered(m, rounded)

        # Above the bits that a type has, all repeat its sign; that of uint8 is 0.
        negative, sign = rounded[-1], Signal()
        fits_int32, fits, over, under = Signal(), Signal(), Signal(), Signal()
        repeats = rounded[8:31] == negative.replicate(23)
        m.d.comb += [
            sign.eq(negative & (self.int8 | self.int32)),
            fits_int32.eq(rounded[31:-1] == negative.replicate(len(rounded) - 32)),
            fits.eq(
                fits_int32
                & (self.int32 | (repeats & Mux(self.int8, rounded[7] == negative, ~negative)))
            ),
            over.eq(~fits & ~negative),
            under.eq(~fits & negative),
        ]
        # The highest bit of an int8, and what is above that of a byte, is the sign in any case.
        top_ones, top_zeros, ones, zeros = Signal(), Signal(), Signal(), Signal()
        low_byte = Signal(8)
        m.d.comb += [
            top_ones.eq(Mux(self.int8, sign, over)),
            top_zeros.eq(Mux(self.int8, ~sign, under)),
            ones.eq(Mux(self.int32, ~fits_int32 & ~negative, sign)),
            zeros.eq(Mux(self.int32, ~fits_int32 & negative, ~sign)),
            low_byte.eq(rounded[:8] | Cat(over.replicate(7), top_ones)),
        ]
        output = Signal(signed(32), reset_less=True)
        m.d.comb += self.output.eq(output)
        with m.If(self.advance):
            m.d.sync += output.eq(Cat(low_byte, rounded[8:31] | ones.replicate(23), sign))
            with m.If(under):
                m.d.sync += output[:7].eq(0)
            with m.If(top_zeros):
                m.d.sync += output[7].eq(0)
            with m.If(zeros):
                m.d.sync += output[8:31].eq(0)
        return m

    def _added(self, product):
        """What a register has of the residual's product.

        Only int8 is negative. That is not left to the register's top bit, as Yosys would take such
        a register into both blocks between which it is, and leave one without an input.
        """
        return Cat(product[:-1], product[-1] & self.residual_int8).as_signed()

    def _registered(self, m: Module, *values):
        """The values, a cycle later."""
        late = [Signal.like(value, reset_less=True) for value in values]
        with m.If(self.advance):
            m.d.sync += [after.eq(before) for after, before in zip(late, values, strict=True)]
        return late

    def _selected(self, m: Module, value):
        """The value shifted right by ``shift`` + 1 and rounded, a cycle later: multiplexers."""
        shifted = Signal.like(value, reset_less=True)
        with m.If(self.advance):
            m.d.sync += shifted.eq(value >> self.shift)
        return (shifted + 1) >> 1

    def _multiplied(self, m: Module, value):
        """Likewise: times a power of two, word by word, without the lowest word of the product."""
        power = Signal(WORD)
        m.d.comb += power.eq(Cat(self.shift == WORD - 1 - place for place in range(WORD)))
        # What a word's product has above its own bits is added to the next one's, and what rounds
        # to the first one's.
        first, carried = Signal(2 * WORD), Signal(WORD, reset_less=True)
        rest = value[WORD:].as_signed()
        words = Signal.like(rest, reset_less=True)
        m.d.comb += first.eq(value[:WORD] * power + (1 << WORD - 1))
        with m.If(self.advance):
            m.d.sync += [carried.eq(first >> WORD), words.eq(rest)]
        out, above = [], carried
        for place in range(0, len(words) - WORD, WORD):
            product = Signal(2 * WORD, name=f"product_{place}")
            m.d.comb += product.eq(words[place : place + WORD] * power + above)
            above = product[WORD:]
            out.append(product[:WORD])
        highest = words[len(out) * WORD :].as_signed()
        return Cat(*out, (highest * power + above)[: len(highest) + WORD]).as_signed()
