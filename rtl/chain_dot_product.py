"""A dot product as a systolic chain of ECP5 carry cells: mask and sign cost no LUT.

::

    x0 ─ XOR sign ─ AND mask ─►│─ + ─►│─ + ─►│─ ... ─►│─ + ─► accumulator ─► total
                                  ▲      ▲               ▲
                      x1, mask, sign  x2, mask, sign   accumulator

Each stage adds one input to the partial sum in the LUTs of its carry cells and has a register
behind it, so input i comes i cycles after input 0.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from .carry_chain import ACCUMULATE, ADD, ADD_MASKED, CLEARABLE, PASS, ZERO, CarryChain
from .dot_product import DotProductSignature, masked

__all__ = ["ChainDotProduct"]

MOST_BITS = 128
"""Bits of a carry chain, whose whole length counts as a path in timing analysis."""


class ChainDotProduct(wiring.Component):
    """Chain of adders; for members see `DotProductSignature`. Latency: ``ich + 1`` cycles.

    Input i of ``pixel``, ``mask`` and ``sign`` comes i cycles late; "the operands of n cycles ago"
    are those whose input 0 came then.

    Parameters
    ----------
    ich : int
        Number of PEs.
    accumulator_bits : int
        Width of the accumulator.
    """

    def __init__(self, ich: int, accumulator_bits: int):
        self.ich, self.accumulator_bits = ich, accumulator_bits
        super().__init__(DotProductSignature(ich, accumulator_bits, ich + 1))

    def elaborate(self, platform):
        m = Module()
        chains = [CarryChain()]

        def chain(bits):
            """The chain that has room for so many more bits."""
            if len(chains[-1]) and len(chains[-1]) + bits > MOST_BITS:
                chains.append(CarryChain())
            return chains[-1]

        def register(bits):
            value = Signal(len(bits), reset_less=True)
            m.d.sync += value.eq(Cat(bits))
            return value

        # The partial sum is low + 256 * (high + spare). An even stage only keeps the carry of its
        # eight bits, as spare; the next one adds both carries to high at once.
        low, high, spare = register(masked(self.pixel[:8], self.mask[0], self.sign[0])), [], None
        for stage in range(1, self.ich):
            own = chain(8 + stage.bit_length())
            pixel = self.pixel.word_select(stage, 8)
            total = [
                own.add(ADD_MASKED, a, b, self.mask[stage], self.sign[stage])
                for a, b in zip(low, pixel, strict=True)
            ]
            if stage % 2 == 0:
                spare = register([own.add(ZERO)])
                high = register(high)
            else:
                # At most ``stage`` carries so far, so the highest bit has none.
                if spare is None:
                    above = [own.add(ZERO)]
                else:
                    above = [own.add(ADD, high[0], spare), *(own.add(PASS, a) for a in high[1:])]
                above += [own.add(ZERO) for _ in range(stage.bit_length() - len(above))]
                high, spare = register(above), None
            low = register(total)

        own = chain(self.accumulator_bits)
        accumulator = Signal(self.accumulator_bits, reset_less=True)
        terms = [*low, *high]
        total = [
            own.add(ACCUMULATE, a, terms[i], self.first)
            if i < len(terms)
            else own.add(CLEARABLE, a, c=self.first)
            for i, a in enumerate(accumulator)
        ]
        with m.If(self.valid[-1]):
            m.d.sync += accumulator.eq(Cat(total))
        m.d.comb += self.total.eq(accumulator)
        for number, own in enumerate(chains):
            m.submodules[f"chain_{number}"] = own
        return m
