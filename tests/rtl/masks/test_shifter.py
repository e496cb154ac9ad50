import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hiddenite.rtl.masks.shifter import select_bits, select_one, select_value


def output_of_each_index(m, index, output):
    values = []

    async def testbench(ctx):
        for number in range(1 << len(index)):
            ctx.set(index, number)
            await ctx.delay(1e-9)
            values.append(ctx.get(output))

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()
    return values


@pytest.mark.parametrize("index_bits, width", [(1, 1), (2, 7), (3, 14)])
def test_bits_from_a_start_on(index_bits, width):
    m, start = Module(), Signal(index_bits)
    value = 0x5A3C_96E1 & ((1 << width + (1 << index_bits) - 1) - 1)
    source = Signal(width + (1 << index_bits) - 1, init=value)
    out = Signal(width)
    m.d.comb += out.eq(select_bits(m, source, start, width))
    expected = [value >> n & ((1 << width) - 1) for n in range(1 << index_bits)]
    assert output_of_each_index(m, start, out) == expected


@pytest.mark.parametrize("index_bits", [0, 1, 2, 3])
def test_a_value_by_its_number(index_bits):
    m, index, out = Module(), Signal(index_bits), Signal(5)
    numbers = [(11 * n + 3) % 32 for n in range(1 << index_bits)]
    m.d.comb += out.eq(select_value([Signal(5, init=n) for n in numbers], index))
    assert output_of_each_index(m, index, out) == numbers


def test_the_value_that_is_marked():
    m, marks, out = Module(), Signal(3), Signal(5)
    numbers = [19, 6, 24]
    m.d.comb += out.eq(select_one([Signal(5, init=n) for n in numbers], marks))
    values = output_of_each_index(m, marks, out)
    assert [values[mark] for mark in (0, 1, 2, 4)] == [0, *numbers]
