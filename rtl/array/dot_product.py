"""A dot product of masked activations: PEs of one output channel at one pixel, and their sum.

A PE is ``mask AND (x XOR sign)``, an unsigned number of 8 bits: for an unsigned activation,
-x = (x XOR 255) - 255. Each kept negative weight therefore adds an offset of 255, whatever the
activation (a zero of the padding included); the compiler takes it off the channel's bias (see
`plain_offset`).

::

    x ─ XOR sign ─ AND mask ─┐
    x ─ XOR sign ─ AND mask ─┤ + ─► accumulator ─► total
    ...                      ┘

How the additions are built is a matter of the target: a tree here, with fewer cells of an iCE40 in
`hiddenite.rtl.array.flip_dot_product`, a chain of ECP5 cells in
`hiddenite.rtl.array.chain_dot_product`.
"""

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = [
    "CombinationalDotProduct",
    "DotProductSignature",
    "TreeDotProduct",
    "masked",
    "plain_offset",
]


def masked(pixel, mask, sign):
    """What a PE adds, 8 bits."""
    return (pixel ^ sign.replicate(8)) & mask.replicate(8)


def plain_offset(mask: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Sum of the PEs of a word when all activations are 0.

    Parameters
    ----------
    mask, negative : numpy.ndarray of bool
        (..., ich): weights that are kept, and those of them that are negative.
    """
    return 255 * negative.sum(-1)


class DotProductSignature(wiring.Signature):
    """A dot product, however it is built.

    Members
    -------
    pixel, mask, sign : operands
    valid : bit n: the operands of n cycles ago are a step, which is added; ``latency`` bits
    first : the operands of ``latency - 1`` cycles ago replace what the accumulator has
    total : the accumulator; it has taken the operands of ``latency`` cycles ago
    """

    def __init__(self, ich: int, accumulator_bits: int, latency: int):
        super().__init__(
            {
                "pixel": In(8 * ich),
                "mask": In(ich),
                "sign": In(ich),
                "valid": In(latency),
                "first": In(1),
                "total": Out(accumulator_bits),
            }
        )


class TreeDotProduct(wiring.Component):
    """Adder tree with registers; for members see `DotProductSignature`.

    A register is after the terms and after each level of the tree, for FPGAs: there a register
    behind a LUT costs nothing, and a tree without them becomes carry-save adders, which are larger
    and slower.

    Parameters
    ----------
    ich : int
        Number of PEs, a power of two.
    accumulator_bits : int
        Width of the accumulator.
    """

    registered = True

    def __init__(self, ich: int, accumulator_bits: int):
        self.ich, self.accumulator_bits = ich, accumulator_bits
        super().__init__(DotProductSignature(ich, accumulator_bits, self.latency(ich)))

    @staticmethod
    def latency(ich: int) -> int:
        """Cycles from the operands to the total: terms, levels and accumulator."""
        return ceil_log2(ich) + 2

    def _terms(self):
        """Numbers that the tree adds up: here, what each PE gives."""
        return [
            masked(self.pixel.word_select(i, 8), self.mask[i], self.sign[i])
            for i in range(self.ich)
        ]

    def elaborate(self, platform):
        m = Module()
        terms = [self._register(m, term) for term in self._terms()]
        level = 0
        while len(terms) > 1:
            level += 1
            terms = [
                self._register(m, left + right, level)
                for left, right in zip(terms[::2], terms[1::2], strict=True)
            ]
        # With the choice behind the addition, an iCE40's LUT does both.
        accumulator = Signal(self.accumulator_bits, reset_less=True)
        with m.If(self.valid[-1]):
            m.d.sync += accumulator.eq(Mux(self.first, terms[0], accumulator + terms[0]))
        m.d.comb += self.total.eq(accumulator)
        return m

    def _register(self, m, value, level=0):
        if not self.registered:
            return value
        register = Signal(len(value), reset_less=True)
        m.d.sync += register.eq(value)
        if level:
            # What is no step is not added, whatever its top bit. But the top bit is a bare carry,
            # and a carry that goes straight to a register takes two logic cells of an iCE40.
            m.d.sync += register[-1].eq(value[-1] & self.valid[level])
        return register


class CombinationalDotProduct(TreeDotProduct):
    """Adder tree without registers, for an ASIC; for members see `DotProductSignature`."""

    registered = False

    @staticmethod
    def latency(ich: int) -> int:
        """Cycles from the operands to the total: the accumulator."""
        return 1
