"""A dot product for iCE40 that complements sums in place of inputs.

A logic cell of an iCE40 adds a bit and has an input to spare. With it one operand's mask is free,
``Mux(mask, total + x, total)``, or a complement of the sum, ``(a + b) ^ flip``; an operand's
complement takes a LUT of its own for each bit. So three of eight inputs are added as they are. The
sum takes their sign, and is complemented later on, where nothing is masked::

    x0 ─ XOR ─ AND ─┐
    x1 ──────── mask + ─┐
    x2 ─ XOR ─ AND ──── + XOR ─┐
    x3 ─────────────────── mask + ─┐
    x4 ─ XOR ─ AND ─┐              + XOR ─►│─ + ─► accumulator ─► total
    x5 ──────── mask + ─┐          │
    x6 ─ XOR ─ AND ─┐   + XOR ─────┘
    x7 ─ XOR ─ AND ─ + ─┘

Each XOR has a bit that says whether two signs differ: that of an input or a sum, and that of the
sum that it goes into. So signs are stored relative to one another (`relative_signs`).
"""

import numpy as np
from amaranth.hdl import Cat, Mux, Value
from amaranth.utils import ceil_log2

from .dot_product import TreeDotProduct, masked

__all__ = ["MOST_INPUTS", "FlipDotProduct", "flip_offset", "relative_signs"]

MOST_INPUTS = 8
"""Inputs that are added as above; more than that are added up from sums of so many."""

# For so many inputs, for each: the input that its sign is stored relative to; itself where that
# would be +. Where a sum has the sign of an input, that of the next sum is the other one's.
_RELATIVE_TO = {
    1: (0,),
    2: (0, 1),
    4: (1, 1, 1, 1),
    8: (1, 3, 1, 3, 5, 3, 5, 5),
}


def relative_signs(signs: Value) -> Value:
    """A word's signs as `FlipDotProduct` takes them."""
    size = min(len(signs), MOST_INPUTS)
    relative = []
    for i, sign in enumerate(signs):
        other = i - i % size + _RELATIVE_TO[size][i % size]
        relative.append(sign if other == i else sign ^ signs[other])
    return Cat(relative)


def flip_offset(mask: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Sum that a `FlipDotProduct` makes of a word when all activations are 0.

    Parameters
    ----------
    mask, negative : numpy.ndarray of bool
        (..., ich): weights that are kept, and those of them that are negative.
    """
    size = min(mask.shape[-1], MOST_INPUTS)
    mask, negative = (
        np.moveaxis(bits.reshape(*bits.shape[:-1], -1, size), -1, 0) for bits in (mask, negative)
    )
    flip = [
        negative[i] if other == i else negative[i] ^ negative[other]
        for i, other in enumerate(_RELATIVE_TO[size])
    ]
    pe = 255 * (mask & flip)
    if size < 4:
        total = pe.sum(0)
    elif size == 4:
        total = _flipped(pe[0] + pe[2] + pe[3], flip[1], 10)
    else:
        first = _flipped(pe[0] + pe[2] + 256 * flip[1], flip[1], 10)
        second = _flipped(pe[4] + pe[6] + pe[7], flip[5], 10)
        total = _flipped(first + second, flip[3], 11)
    return total.sum(-1)


def _flipped(total: np.ndarray, flip: np.ndarray, bits: int) -> np.ndarray:
    return np.where(flip, (1 << bits) - 1 - total, total)


class FlipDotProduct(TreeDotProduct):
    """Adder tree over sums of up to `MOST_INPUTS` inputs; for members see `DotProductSignature`.

    ``sign`` is what `relative_signs` makes of signs that are 0 where the mask is. ``total`` is the
    sum of the signed activations and of each step's `flip_offset`.

    Parameters
    ----------
    ich : int
        Number of PEs, a power of two.
    accumulator_bits : int
        Width of the accumulator.
    """

    @staticmethod
    def latency(ich: int) -> int:
        """Cycles from the operands to the total: terms, levels and accumulator."""
        return ceil_log2(max(1, ich // MOST_INPUTS)) + 2

    def _terms(self):
        if self.ich < MOST_INPUTS:
            return [{1: self._pe, 2: self._two, 4: self._four}[self.ich](0)]
        return [self._eight(at) for at in range(0, self.ich, MOST_INPUTS)]

    def _eight(self, at):
        # In a sum that is complemented, 256 are added before, so that another input still fits in.
        flip = self.sign[at + 1]
        first = (self._pair(at) + Cat(self._pe(at + 2), flip)) ^ flip.replicate(10)
        first = self._add(self._apart(first), at + 3)[:10]
        return (first + self._four(at + 4)) ^ self.sign[at + 3].replicate(11)

    def _four(self, at):
        return (self._pair(at) + self._two(at + 2)) ^ self.sign[at + 1].replicate(10)

    def _two(self, at):
        return self._apart(self._pe(at) + self._pe(at + 1))

    def _pair(self, at):
        """Sum of two inputs, with the sign of the second."""
        return self._add(self._pe(at), at + 1)

    def _apart(self, total):
        """The sum, for Yosys to keep it apart from the next one: one of both is larger.

        What is no step is not added, whatever its top bit.
        """
        return Cat(total[:-1], total[-1] & self.valid[0])

    def _add(self, total, i):
        return Mux(self.mask[i], total + self.pixel.word_select(i, 8), total)

    def _pe(self, i):
        return masked(self.pixel.word_select(i, 8), self.mask[i], self.sign[i])
