from itertools import product

import pytest
from amaranth.hdl import Fragment, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rtl_helpers import simulate

from hiddenite.rtl.array.carry_chain import (
    ACCUMULATE,
    ADD,
    ADD_MASKED,
    CLEARABLE,
    PASS,
    ZERO,
    CarryChain,
)

# Kind: (what it adds to the carry, inputs that may be 0).
BITS = {
    "ADD_MASKED": (ADD_MASKED, lambda a, b, c, d: a + (c & (b ^ d)), "abcd"),
    "ADD": (ADD, lambda a, b, c, d: a + b, "ab"),
    "PASS": (PASS, lambda a, b, c, d: a, "a"),
    "ZERO": (ZERO, lambda a, b, c, d: 0, ""),
    "ACCUMULATE": (ACCUMULATE, lambda a, b, c, d: (a & 1 - c) + b, "abc"),
    "CLEARABLE": (CLEARABLE, lambda a, b, c, d: a & 1 - c, "ac"),
}


def combinations(free):
    """Values of a, b, c, d; inputs that are not free are 1."""
    return product(*((0, 1) if name in free else (1,) for name in "abcd"))


class Clocked(wiring.Component):
    """A bit between the bits that make its carry in and take its carry out.

    Amaranth's simulator wants a register for its clock.
    """

    def __init__(self, bit):
        self.bit = bit
        super().__init__({"inputs": In(4), "carry": In(1), "total": Out(2)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.chain = chain = CarryChain(((ADD, 1), (self.bit, 1), (ZERO, 1)))
        m.d.comb += [
            chain.a_0.eq(self.carry),
            chain.b_0.eq(self.carry),
            self.total[0].eq(chain.s_1),
            self.total[1].eq(chain.s_2),
        ]
        for index, name in enumerate("abcd"):
            if name in self.bit.inputs:
                m.d.comb += getattr(chain, f"{name}_1").eq(self.inputs[index])
        m.d.sync += Signal().eq(1)
        return m


@pytest.mark.parametrize("name", BITS)
def test_bit_adds_what_it_says(name):
    bit, adds, free = BITS[name]
    assert bit.inputs == free
    dut = Clocked(bit)

    async def bench(ctx):
        for inputs, carry in product(combinations(free), (0, 1)):
            ctx.set(dut.inputs, sum(value << i for i, value in enumerate(inputs)))
            ctx.set(dut.carry, carry)
            assert ctx.get(dut.total) == adds(*inputs) + carry, (inputs, carry)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("name", BITS)
def test_table_of_a_bit_is_what_a_cell_needs(name):
    """Straight from the cell: its sum is LUT XOR carry; without LUT, INIT[3:0] is the carry."""
    bit, adds, free = BITS[name]
    for a, b, c, d in combinations(free):
        lut = bit.init >> (a + 2 * b + 4 * c + 8 * d) & 1
        generate = bit.init >> (a + 2 * b) & 1
        for carry in (0, 1):
            out = carry if lut else generate
            assert (lut ^ carry) + 2 * out == adds(a, b, c, d) + carry


@pytest.mark.parametrize("widths", [(8,), (8, 1), (3, 5, 11)])
def test_chain_has_the_ports_that_its_runs_need(widths):
    kinds = ADD_MASKED, PASS, ACCUMULATE
    chain = CarryChain(tuple(zip(kinds, widths, strict=False)))
    expected = set()
    for number, (kind, width) in enumerate(chain.runs):
        expected |= {(f"{n}_{number}", width if n in "ab" else 1) for n in kind.inputs}
        expected.add((f"s_{number}", width))
    found = {(name, len(getattr(chain, name))) for name in chain.signature.members}
    assert found == expected
    cells = chain.cells
    assert cells.signature == chain.signature
    for component in (chain, cells):
        # Amaranth warns of components that are never elaborated.
        Fragment.get(component, None)
