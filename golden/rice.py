"""Mask code: run lengths of pruned weights, Golomb-Rice.

A mask is coded as the runs of zeros before each one. With parameter k, a run r is written as
``r >> k`` ones, a zero, and the low k bits of r (least significant first). The decoder takes at
most four of the ones at a time, so a code is made of *pieces*:

    1111                 skip 4 << k weights, keep none
    1..10 + k bits       q ones (0 to 3), a zero, remainder m: skip (q << k) + m weights, keep one

The zeros after the last one are written as a run that reaches the end or beyond; nothing is written
when there are none.

Golomb (1966), Run-length encodings; Rice (1979).
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Pieces", "RiceCode"]


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Coded mask, piece by piece (arrays of one length).

    Attributes
    ----------
    start : numpy.ndarray of int64
        Position of the first weight that the piece speaks of.
    value : numpy.ndarray of int64
        Its bits, the first one least significant.
    length : numpy.ndarray of int64
        Number of its bits.
    """

    start: np.ndarray
    value: np.ndarray
    length: np.ndarray

    def bits(self) -> np.ndarray:
        """All pieces as one array of bits (uint8, 0 or 1)."""
        ends = np.cumsum(self.length)
        total = int(ends[-1]) if len(ends) else 0
        owner = np.repeat(np.arange(len(ends)), self.length)
        place = np.arange(total) - np.repeat(ends - self.length, self.length)
        return ((self.value[owner] >> place) & 1).astype(np.uint8)


@dataclass(frozen=True)
class RiceCode:
    """Golomb-Rice code of one parameter.

    Parameters
    ----------
    parameter : int
        k, 0 to `MAX_PARAMETER`: the number of low bits of a run that are sent as they are.
    """

    parameter: int

    MAX_PARAMETER = 10
    """Beyond it (one weight kept in a thousand) longer runs only take more pieces."""

    QUOTIENT = 4
    """Ones that the decoder takes at a time."""

    MAX_PIECE = QUOTIENT + MAX_PARAMETER
    """Bits of the longest piece."""

    def __post_init__(self) -> None:
        if not 0 <= self.parameter <= self.MAX_PARAMETER:
            raise ValueError(
                f"Rice parameter must be 0 to {self.MAX_PARAMETER}, not {self.parameter!r}"
            )

    def encode(self, mask: np.ndarray) -> Pieces:
        """Code a one-dimensional boolean mask."""
        k = self.parameter
        kept = np.flatnonzero(mask)
        begins = np.concatenate([[0], kept + 1])
        runs = np.concatenate([kept, [len(mask)]]) - begins
        if runs[-1] == 0:
            begins, runs = begins[:-1], runs[:-1]
        skips, quotient = np.divmod(runs >> k, self.QUOTIENT)
        step = self.QUOTIENT << k
        # The last run ends with the mask: no closing piece when skips alone reach the end.
        closing = np.ones(len(runs), bool)
        if len(runs) and begins[-1] + runs[-1] == len(mask) and runs[-1] == skips[-1] * step:
            closing[-1] = False
        count = skips + closing
        owner = np.repeat(np.arange(len(runs)), count)
        index = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        skip = index < skips[owner]
        remainder = runs & ((1 << k) - 1)
        code = ((1 << quotient) - 1) | (remainder << (quotient + 1))
        return Pieces(
            start=begins[owner] + index * step,
            value=np.where(skip, (1 << self.QUOTIENT) - 1, code[owner]),
            length=np.where(skip, self.QUOTIENT, quotient[owner] + 1 + k),
        )

    def decode(self, bits: np.ndarray, count: int) -> np.ndarray:
        """Mask of ``count`` weights from its bits; what follows the mask's own bits is ignored.

        Raises
        ------
        ValueError
            The bits end before the mask does.
        """
        k, mask, position, at = self.parameter, np.zeros(count, bool), 0, 0
        while position < count:
            ones = 0
            while ones < self.QUOTIENT and at + ones < len(bits) and bits[at + ones]:
                ones += 1
            if ones == self.QUOTIENT:
                position += ones << k
                at += ones
                continue
            end = at + ones + 1 + k
            if end > len(bits):
                raise ValueError(f"mask code ends at bit {len(bits)}, weight {position} of {count}")
            remainder = sum(int(bit) << i for i, bit in enumerate(bits[end - k : end]))
            position += (ones << k) + remainder
            if position < count:
                mask[position] = True
            position += 1
            at = end
        return mask

    @classmethod
    def best(cls, masks: list[np.ndarray]) -> "RiceCode":
        """The code that takes the fewest bits for all of these masks together."""
        codes = [cls(k) for k in range(cls.MAX_PARAMETER + 1)]
        return min(codes, key=lambda code: sum(int(code.encode(m).length.sum()) for m in masks))
