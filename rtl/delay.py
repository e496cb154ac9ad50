"""Registers that do nothing but wait."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["delayed"]


def delayed(m: Module, value, name: str, *, reset_less: bool = False) -> Signal:
    """Return the value, a cycle later: a register of its own, with its signedness.

    Parameters
    ----------
    m : Module
        Where the register is.
    value : value-like
    name : str
        Name of the register.
    reset_less : bool
        For data that mean nothing before something valid comes.
    """
    value = Value.cast(value)
    late = Signal(value.shape(), name=name, reset_less=reset_less)
    m.d.sync += late.eq(value)
    return late
