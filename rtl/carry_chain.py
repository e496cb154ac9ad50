"""Chains of ECP5's carry cells, written out: what is added goes through the adders' own LUTs.

A CCU2C (Lattice FPGA-TN-02200) is two bits of a carry chain. Each has a LUT of four inputs:

::

    A, B, C, D ─► LUT ─┬─ XOR carry ─► S
                       └─ 1: carry goes on; 0: carry out is INIT[3:0] at (A, B)

INIT[3:0] is also the LUT's own table where C = D = 0. An adder of A and g(B, C, D) wants A XOR g
from the LUT and, where that is 0, A as the carry: so g must be 0 where C = D = 0, and it may be
anything elsewhere.
"""

from amaranth.hdl import Cat, Const, Elaboratable, Instance, Module, Signal

from .shared_module import is_emitting

__all__ = ["ACCUMULATE", "ADD", "ADD_MASKED", "CLEARABLE", "PASS", "ZERO", "CarryChain", "table"]


def table(function) -> int:
    """INIT of a LUT that computes ``function(a, b, c, d)``, of integers 0 and 1."""
    return sum((function(i & 1, i >> 1 & 1, i >> 2 & 1, i >> 3) & 1) << i for i in range(16))


# An input that is not needed is 1: that is what an ECP5's unconnected input is.
ADD_MASKED = table(lambda a, b, c, d: a ^ (c & (b ^ d)))
"""A + (C AND (B XOR D)): partial sum A, activation B, mask C, sign D."""
ADD = table(lambda a, b, c, d: a ^ (c & d & b))
"""A + B; C = D = 1."""
PASS = table(lambda a, b, c, d: a)
"""A + 0; B = C = D = 1."""
ZERO = table(lambda a, b, c, d: 0)
"""0 + 0: S is the carry of the bit below, and the bit above gets none. A = B = C = D = 1."""
ACCUMULATE = table(lambda a, b, c, d: (a & ~c ^ b) if d else b)
"""(A AND NOT C) + B: accumulator A, term B, clear C; D = 1."""
CLEARABLE = table(lambda a, b, c, d: a & ~c if d else 0)
"""(A AND NOT C) + 0: accumulator A, clear C; B = D = 1."""

_ONE = Const(1, 1)


class CarryChain(Elaboratable):
    """Bits from the lowest up, added one by one before elaboration.

    No carry goes into the lowest bit, and none comes out of the highest. An adder whose highest
    bit cannot carry may have another adder above it: nextpnr spends two cells on the ends of each
    chain. In emitted Verilog these are CCU2C cells; in Amaranth's simulator, which does not know
    them, their equations.
    """

    def __init__(self):
        self._bits = []

    def __len__(self):
        return len(self._bits)

    def add(self, init: int, a=_ONE, b=_ONE, c=_ONE, d=_ONE) -> Signal:
        """Put a bit on top; return its sum."""
        total = Signal(name=f"s_{len(self._bits)}")
        self._bits.append((init, a, b, c, d, total))
        return total

    def elaborate(self, platform):
        m = Module()
        bits = list(self._bits)
        if len(bits) % 2:
            bits.append((ZERO, _ONE, _ONE, _ONE, _ONE, Signal(name="unused")))
        carry = Const(0, 1)
        for number, halves in enumerate(zip(bits[::2], bits[1::2], strict=True)):
            if not is_emitting():
                for init, *inputs, total in halves:
                    carry = _equations(m, init, inputs, total, carry)
                continue
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


def _equations(m, init, inputs, total, carry):
    """Half a CCU2C with its sum; returns its carry out."""
    lut, generate, out = Signal(), Signal(), Signal()
    m.d.comb += [
        lut.eq(Const(init, 16).bit_select(Cat(inputs), 1)),
        generate.eq(Const(init, 16).bit_select(Cat(inputs[:2]), 1)),
        total.eq(lut ^ carry),
        out.eq((~lut & generate) | (lut & carry)),
    ]
    return out
