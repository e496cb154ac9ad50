"""What a lane's decoder brings, step by step: part of the constructor's timing."""

from dataclasses import dataclass

import numpy as np

from hiddenite.golden.rice import Pieces, RiceCode

from .mask_expander import is_pair

__all__ = ["Steps"]


@dataclass(frozen=True)
class Steps:
    """What a lane's decoder brings, in its order.

    Attributes
    ----------
    place : numpy.ndarray of int64
        The weight that the step keeps, or the one that the next step speaks of.
    keep : numpy.ndarray of bool
    piece : numpy.ndarray of int64
        Position of the first weight of which the step's piece of the code speaks.
    before, after : numpy.ndarray of int64
        Bits of the lane's masks before the step and behind it.
    """

    place: np.ndarray
    keep: np.ndarray
    piece: np.ndarray
    before: np.ndarray
    after: np.ndarray
    pair: np.ndarray

    @classmethod
    def parallel(cls, pieces: Pieces, used: int, code: RiceCode) -> "Steps":
        """A piece a step, or two of a code without signs."""
        k, after = code.parameter, used + np.cumsum(pieces.length)
        ones, remainder = _quotient(pieces, code)
        keep = ones < RiceCode.QUOTIENT
        place = pieces.start + (ones << k) + remainder * keep
        before = after - pieces.length
        pair = keep & is_pair(before, after, k) & (not code.signed)
        return cls(place, keep, pieces.start, before, after, pair)

    @classmethod
    def serial(cls, pieces: Pieces, used: int, code: RiceCode, word_bits: int) -> "Steps":
        """One or two bits a step, as `hiddenite.rtl.masks.serial_expander` takes them."""
        k, after = code.parameter, used + np.cumsum(pieces.length)
        ones, remainder = _quotient(pieces, code)
        columns = []
        begin = after - pieces.length
        for offset in range(int(pieces.length.max())):
            one = offset < ones
            # Two ones, or the zero and the bit behind it, if they are in one word.
            pair = (offset % 2 == 0) & (offset + 1 < ones)
            pair |= (k + code.signed > 0) & (offset == ones)
            pair &= (begin + offset + 1) % word_bits != 0
            known = (1 << np.clip(offset - ones - code.signed, 0, k)) - 1
            place = np.where(one, offset + 1, ones) << k
            columns.append(
                (
                    ~pair & (offset < pieces.length),
                    pieces.start + place + np.where(one, 0, remainder & known),
                    ~one & (offset == pieces.length - 1),
                    begin + offset + 1,
                )
            )
        taken, place, keep, behind = (np.stack(column, 1) for column in zip(*columns, strict=True))
        piece = np.nonzero(taken)[0]
        behind = behind[taken]
        before = np.concatenate([[used], behind[:-1]])
        pair = np.zeros(len(piece), bool)
        return cls(place[taken], keep[taken], pieces.start[piece], before, behind, pair)


def _quotient(pieces: Pieces, code: RiceCode) -> tuple[np.ndarray, np.ndarray]:
    """Ones and remainder of each piece."""
    masks = (1 << np.arange(1, RiceCode.QUOTIENT + 1)) - 1
    ones = (pieces.value[:, None] & masks == masks).sum(1)
    remainder = pieces.value >> (ones + 1 + code.signed)
    return ones, remainder & ((1 << code.parameter) - 1)
