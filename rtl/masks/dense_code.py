"""Code of masks without zeros: no runs, only signs.

The words of a row are those of the tile buffer, ich weights each; behind the last weight of a pixel
zeros fill the word. A word whose signs are coded has a bit for each of its weights, 1 means -1. One
whose signs are generated has none.
"""

from dataclasses import dataclass

import numpy as np

from hiddenite.golden.rice import Pieces, RiceCode

from ..configuration import Configuration

__all__ = ["DENSE", "DenseCode", "chunk_bits"]

DENSE = RiceCode.MAX_PARAMETER + 1
"""What stands in place of the parameter of a `RiceCode`: all ones."""

WINDOW_CHUNK = 16
"""Bits that the parallel decoder takes at once at most; see `hiddenite.rtl.masks.mask_expander`."""


def chunk_bits(c: Configuration) -> int:
    """Bits that a lane takes at once: a word, or a part of it."""
    return min(c.ich, WINDOW_CHUNK if c.mask_decoder == "parallel" else c.program_bits)


@dataclass(frozen=True)
class DenseCode:
    """Code of a layer that keeps all weights.

    Parameters
    ----------
    word : int
        Weights of a word, ich.
    chunk : int
        `chunk_bits`.
    signed : bool
        Signs are coded.
    """

    word: int
    chunk: int
    signed: bool

    parameter = DENSE

    def encode(self, mask: np.ndarray, sign: np.ndarray | None = None) -> Pieces:
        """Code the signs (True: -1) of a mask, O x KH x KW x C, chunk by chunk."""
        if not self.signed:
            nothing = np.zeros(0, np.int64)
            return Pieces(start=nothing, value=nothing, length=nothing)
        assert sign is not None
        channels = mask.shape[3]
        fill = [(0, 0)] * 3 + [(0, -channels % self.word)]
        chunks = np.pad(sign, fill).reshape(-1, self.chunk)
        # A chunk of nothing but filling belongs to the last weight.
        first = np.minimum(np.arange(0, channels + fill[3][1], self.chunk), channels - 1)
        start = np.arange(mask.size // channels)[:, None] * channels + first
        return Pieces(
            start=start.reshape(-1),
            value=chunks @ (1 << np.arange(self.chunk, dtype=np.int64)),
            length=np.full(len(chunks), self.chunk, np.int64),
        )
