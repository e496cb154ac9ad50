from itertools import product

import pytest
from amaranth.hdl import Fragment, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rtl_helpers import simulate

from hiddenite.rtl.carry_chain import (
    ACCUMULATE,
    ADD,
    ADD_MASKED,
    CLEARABLE,
    PASS,
    ZERO,
    CarryChain,
    table,
)

# INIT: (what it adds to the carry, inputs that may be 0).
BITS = {
    "ADD_MASKED": (ADD_MASKED, lambda a, b, c, d: a + (c & (b ^ d)), "abcd"),
    "ADD": (ADD, lambda a, b, c, d: a + b, "ab"),
    "PASS": (PASS, lambda a, b, c, d: a, "a"),
    "ZERO": (ZERO, lambda a, b, c, d: 0, ""),
    "ACCUMULATE": (ACCUMULATE, lambda a, b, c, d: (a & 1 - c) + b, "abc"),
    "CLEARABLE": (CLEARABLE, lambda a, b, c, d: a & 1 - c, "ac"),
}


class Bit(wiring.Component):
    """A bit with its carries in and out, made of the bits below and above it."""

    def __init__(self, init):
        self.init = init
        super().__init__({"inputs": In(4), "carry": In(1), "total": Out(2)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.chain = chain = CarryChain()
        chain.add(ADD, self.carry, self.carry)
        m.d.comb += [
            self.total[0].eq(chain.add(self.init, *self.inputs)),
            self.total[1].eq(chain.add(ZERO)),
        ]
        return m


@pytest.mark.parametrize("name", BITS)
def test_bit_adds_what_it_says(name):
    init, adds, free = BITS[name]
    dut = Bit(init)
    cases = product(*((0, 1) if n in free else (1,) for n in "abcd"), (0, 1))

    async def bench(ctx):
        for *inputs, carry in cases:
            ctx.set(dut.inputs, sum(bit << i for i, bit in enumerate(inputs)))
            ctx.set(dut.carry, carry)
            assert ctx.get(dut.total) == adds(*inputs) + carry, (inputs, carry)
            await ctx.tick()

    class Clocked(wiring.Component):
        """Amaranth's simulator wants a register for its clock."""

        def __init__(self):
            super().__init__({})

        def elaborate(self, platform):
            m = Module()
            m.submodules.dut = dut
            m.d.sync += Signal().eq(1)
            return m

    simulate(Clocked(), bench)


def test_table_is_in_the_order_of_the_lut():
    for index, name in enumerate("abcd"):
        values = table(lambda *bits, index=index: bits[index])
        assert values == sum(1 << i for i in range(16) if i >> index & 1), name


def test_chain_is_as_long_as_its_bits():
    chain = CarryChain()
    for length in range(5):
        assert len(chain) == length
        chain.add(ZERO)
    Fragment.get(chain, None)
