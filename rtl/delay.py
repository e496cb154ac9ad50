"""Registers that do nothing but wait."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["delayed", "delayed_copies"]


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


def delayed_copies(m: Module, value, name: str, cycles: int, copies: int) -> list[Signal]:
    """Return the value some cycles later, in several registers: each is near those that take it.

    In the last of the cycles each register goes on to two. Synthesis makes one register of two that
    are the same; so the first one is reset and the second one is not.

    Parameters
    ----------
    m : Module
        Where the registers are.
    value : value-like
    name : str
        What the registers' names begin with.
    cycles : int
    copies : int
        A power of two, at most ``2 ** cycles``.
    """
    values = [Value.cast(value)]
    for cycle in range(cycles):
        double = len(values) << cycles - cycle <= copies
        values = [
            delayed(m, v, f"{name}_{cycle}_{2 * i + twin}", reset_less=bool(twin))
            for i, v in enumerate(values)
            for twin in range(1 + double)
        ]
    return values
