"""Mask code: run lengths of pruned weights, Golomb-Rice.

A mask is coded as the runs of zeros before each one. With parameter k, a run r is written as
``r >> k`` ones, a zero, and the low k bits of r (least significant first). The decoder takes at
most four of the ones at a time, so a code is made of *pieces*:

    1111                 skip 4 << k weights, keep none
    1..10 + k bits       q ones (0 to 3), a zero, remainder m: skip (q << k) + m weights, keep one

Where signs are coded, too, the sign of the weight that is kept stands in front of the remainder, so
that the piece is as long as one of parameter k + 1; 1 means -1.

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
    signed : bool
        Each weight that is kept has its sign.
    """

    parameter: int
    signed: bool = False

    MAX_PARAMETER = 6
    """Beyond it (one weight kept in a hundred) longer runs only take more pieces."""

    QUOTIENT = 4
    """Ones that the decoder takes at a time."""

    MAX_PIECE = QUOTIENT + MAX_PARAMETER + 1
    """Bits of the longest piece."""

    def __post_init__(self) -> None:
        if not 0 <= self.parameter <= self.MAX_PARAMETER:
            raise ValueError(
                f"Rice parameter must be 0 to {self.MAX_PARAMETER}, not {self.parameter!r}"
            )

    def encode(self, mask: np.ndarray, sign: np.ndarray | None = None) -> Pieces:
        """Code a boolean mask, last axis fastest, and its signs (True: -1) if they are coded."""
        k, mask = self.parameter, mask.reshape(-1)
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
        if self.signed:
            assert sign is not None
            negative = np.zeros(len(runs), np.int64)
            negative[: len(kept)] = sign.reshape(-1)[kept]
            remainder = remainder << 1 | negative
        code = ((1 << quotient) - 1) | (remainder << (quotient + 1))
        return Pieces(
            start=begins[owner] + index * step,
            value=np.where(skip, (1 << self.QUOTIENT) - 1, code[owner]),
            length=np.where(skip, self.QUOTIENT, quotient[owner] + 1 + k + self.signed),
        )

    def decode(self, bits: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Mask of ``count`` weights and their signs (False without), from its bits.

        What follows the mask's own bits is ignored.

        Raises
        ------
        ValueError
            The bits end before the mask does.
        """
        k, position, at = self.parameter, 0, 0
        mask, sign = np.zeros(count, bool), np.zeros(count, bool)
        while position < count:
            ones = 0
            while ones < self.QUOTIENT and at + ones < len(bits) and bits[at + ones]:
                ones += 1
            if ones == self.QUOTIENT:
                position += ones << k
                at += ones
                continue
            begin = at + ones + 1 + self.signed
            if begin + k > len(bits):
                raise ValueError(f"mask code ends at bit {len(bits)}, weight {position} of {count}")
            remainder = sum(int(bit) << i for i, bit in enumerate(bits[begin : begin + k]))
            position += (ones << k) + remainder
            if position < count:
                mask[position] = True
                sign[position] = self.signed and bits[begin - 1]
            position += 1
            at = begin + k
        return mask, sign

    @classmethod
    def best(cls, masks: list[np.ndarray], *, signed: bool = False) -> "RiceCode":
        """The code that takes the fewest bits for all of these masks together."""
        codes = [cls(k, signed) for k in range(cls.MAX_PARAMETER + 1)]
        # How long the code is does not depend on what the signs are.
        return min(codes, key=lambda code: sum(int(code.encode(m, m).length.sum()) for m in masks))
