"""Registers that do nothing but wait."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["delayed", "delayed_twins"]


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


def delayed_twins(m: Module, value, name: str) -> tuple[Signal, Signal]:
    """Return the value, a cycle later, in two registers: each is near those that take it.

    Synthesis makes one register of two that are the same; so the first one is reset and the second
    one is not.

    Parameters
    ----------
    m : Module
        Where the registers are.
    value : value-like
    name : str
        What the registers' names begin with.
    """
    return (
        delayed(m, value, f"{name}_0"),
        delayed(m, value, f"{name}_1", reset_less=True),
    )
