"""Barrel shifter of which only some bits are needed."""

from amaranth.hdl import Module, Mux, Signal

__all__ = ["select_bits"]


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
