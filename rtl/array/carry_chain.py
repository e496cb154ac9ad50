"""Chains of ECP5's carry cells: what is added goes through the adders' own LUTs.

A CCU2C (Lattice FPGA-TN-02200) is two bits of a carry chain. Each has a LUT of four inputs:

::

    A, B, C, D ─► LUT ─┬─ XOR carry ─► S
                       └─ 1: carry goes on; 0: carry out is INIT[3:0] at (A, B)

INIT[3:0] is also the LUT's own table where C = D = 0. So a bit adds an augend, which A and B make,
and an addend, which all inputs make and which is 0 where C = D = 0: INIT[3:0] is the augend, and
the LUT gives augend XOR addend.
"""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ACCUMULATE", "ADD", "ADD_MASKED", "CLEARABLE", "PASS", "ZERO", "Bit", "CarryChain"]


@dataclass(frozen=True)
class Bit:
    """What a bit of a chain adds.

    Attributes
    ----------
    inputs : str
        Inputs of the LUT that are needed; the others are 1, as an ECP5's unconnected inputs are.
    augend, addend : callable
        Of A and B; of all inputs. The addend is 0 where C = D = 0.
    """

    inputs: str
    augend: Callable
    addend: Callable

    @property
    def init(self) -> int:
        """Table of the LUT."""
        total = 0
        for i in range(16):
            a, b, c, d = (i >> n & 1 for n in range(4))
            total |= ((self.augend(a, b) ^ self.addend(a, b, c, d)) & 1) << i
        return total


ADD_MASKED = Bit("abcd", lambda a, b: a, lambda a, b, c, d: c & (b ^ d))
"""A + (C AND (B XOR D)): partial sum A, activation B, mask C, sign D."""
ADD = Bit("ab", lambda a, b: a, lambda a, b, c, d: b & c & d)
"""A + B."""
PASS = Bit("a", lambda a, b: a, lambda a, b, c, d: a & 0)
"""A + 0."""
ZERO = Bit("", lambda a, b: a & 0, lambda a, b, c, d: a & 0)
"""0 + 0: the sum is the carry of the bit below, and the bit above gets none."""
ACCUMULATE = Bit("abc", lambda a, b: b, lambda a, b, c, d: a & ~c & d)
"""(A AND NOT C) + B: accumulator A, term B, clear C."""
CLEARABLE = Bit("ac", lambda a, b: a & 0, lambda a, b, c, d: a & ~c & d)
"""(A AND NOT C) + 0: accumulator A, clear C."""


class CarryChain(wiring.Component):
    """Bits from the lowest up, in runs of bits that add alike; no register.

    No carry goes into the lowest bit, and none comes out of the highest. An adder that ends with a
    zero may have another adder above it.

    Parameters
    ----------
    runs : tuple of (Bit, int)
        What the bits of a run add, and how many they are.

    Members
    -------
    a_N, b_N, c_N, d_N : inputs of run N, those that it needs; c and d are one bit for all of it
    s_N : sum of run N
    """

    def __init__(self, runs: tuple[tuple[Bit, int], ...]):
        self.runs = runs
        members = {}
        for number, (bit, width) in enumerate(runs):
            for name in bit.inputs:
                members[f"{name}_{number}"] = In(width if name in "ab" else 1)
            members[f"s_{number}"] = Out(width)
        super().__init__(members)

    @property
    def cells(self) -> "CarryChain":
        """The same chain, made of CCU2C."""
        return _Cells(self.runs)

    def _operands(self, number):
        """A, B, C and D of a run, as wide as it is."""
        bit, width = self.runs[number]
        return [
            getattr(self, f"{name}_{number}").replicate(1 if name in "ab" else width)
            if name in bit.inputs
            else Const(-1, width)
            for name in "abcd"
        ]

    def elaborate(self, platform):
        m = Module()
        augend, addend, total = [], [], []
        for number, (bit, width) in enumerate(self.runs):
            a, b, c, d = self._operands(number)
            augend.append(bit.augend(a, b)[:width])
            addend.append(bit.addend(a, b, c, d)[:width])
            total.append(getattr(self, f"s_{number}"))
            # Nothing carries out of a zero: the bits above are an addition of their own.
            if bit is ZERO or number == len(self.runs) - 1:
                m.d.comb += Cat(total).eq(Cat(augend) + Cat(addend))
                augend, addend, total = [], [], []
        return m


class _Cells(CarryChain):
    def elaborate(self, platform):
        m = Module()
        bits = [
            (bit.init, *(operand[i] for operand in operands), getattr(self, f"s_{number}")[i])
            for number, (bit, width) in enumerate(self.runs)
            for operands in [self._operands(number)]
            for i in range(width)
        ]
        # The chain begins with a zero, which lets no carry through: so the constant need not be put
        # in, which would take two cells (see `hiddenite.synthesis.chain_ends`).
        bits.insert(0, (ZERO.init, *[Const(1, 1)] * 4, Signal(name="start")))
        if len(bits) % 2:
            bits.append((ZERO.init, *[Const(1, 1)] * 4, Signal(name="unused")))
        carry = Const(0, 1)
        for number, halves in enumerate(zip(bits[::2], bits[1::2], strict=True)):
            into, carry = carry, Signal(name=f"carry_{number}")
            ports = {"i_CIN": into, "o_COUT": carry}
            for half, (init, *inputs, total) in enumerate(halves):
                ports |= {
                    f"p_INIT{half}": Const(init, 16),
                    f"p_INJECT1_{half}": "NO",
                    f"o_S{half}": total,
                }
                ports |= {f"i_{n}{half}": v for n, v in zip("ABCD", inputs, strict=True)}
            m.submodules[f"cell_{number}"] = Instance("CCU2C", **ports)
        return m
