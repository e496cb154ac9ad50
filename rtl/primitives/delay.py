"""Registers that do nothing but wait."""

from amaranth.hdl import Const, Module, Signal, Value

__all__ = ["COPIES", "delayed", "delayed_copy"]

COPIES = 4
"""So many registers of a value, at most, are left apart."""


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


def delayed_copy(m: Module, value, name: str, copy: int) -> Signal:
    """Return the value, a cycle later, in one of several registers that synthesis leaves apart.

    Each can be near those that take it; a placer lets a register that many take lie anywhere
    between. As synthesis makes one register of two that are the same, they differ in what they are
    after a reset.

    Parameters
    ----------
    m : Module
        Where the register is.
    value : value-like
    name : str
        Name of the register.
    copy : int
        0: begins as 0, with a reset; 1: without one; 2, 3: begin with all bits 1.
    """
    if copy not in range(COPIES):
        raise ValueError(f"copy must be 0 to {COPIES - 1}, not {copy}")
    value = Value.cast(value)
    init = Const(-1 if copy > 1 else 0, value.shape()).value
    late = Signal(value.shape(), name=name, init=init, reset_less=bool(copy % 2))
    m.d.sync += late.eq(value)
    return late
