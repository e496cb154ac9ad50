"""Values and structures as program words."""

import numpy as np
from amaranth.lib import data

from hiddenite.rtl.program.packets import words_of

__all__ = ["number_words", "structure_words"]


def number_words(value: int, size: int, bits: int) -> np.ndarray:
    """A value of ``size`` bits as words of ``bits`` bits, the lowest first."""
    count = -(-size // bits)
    return np.array([value >> i * bits & ((1 << bits) - 1) for i in range(count)], np.uint64)


def structure_words(layout: data.Layout, fields: dict, bits: int) -> np.ndarray:
    """A structure as words."""
    value = layout.const(fields).as_value().value
    return number_words(value, words_of(layout, bits) * bits, bits)
