"""Multiplexers: a barrel shifter of which only some bits are needed, and choices of a value."""

import functools
import operator

from amaranth.hdl import Module, Mux, Signal

__all__ = ["select_bits", "select_one", "select_value"]


def select_bits(m: Module, value, start, width: int) -> Signal:
    """``width`` bits of a value from bit ``start`` on.

    The largest shift comes first and each shift keeps what the ones after it can reach, which
    takes about half of the multiplexers of ``value >> start``.
    """
    for power in reversed(range(len(start))):
        size = width + (1 << power) - 1
        shifted = Signal(size)
        m.d.comb += shifted.eq(Mux(start[power], value[1 << power :], value))
        value = shifted
    return value[:width]


def select_value(values, index):
    """The value with that number, of two to the power of the index's bits.

    An `Array` would compare the index with each number, which takes more and is later known.
    """
    for bit in index:
        values = [Mux(bit, odd, even) for even, odd in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def select_one(values, chosen):
    """The value whose bit of ``chosen`` is set, of which no two are; 0 if none is."""
    parts = (value & bit.replicate(len(value)) for value, bit in zip(values, chosen, strict=True))
    return functools.reduce(operator.or_, parts)
