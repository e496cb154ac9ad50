import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from rtl_helpers import simulate

from hiddenite.rtl.delay import delayed, delayed_copies


async def once(ctx):
    await ctx.tick()


class Delays(Elaboratable):
    """Delays of an input, made by a function of a module and the input."""

    def __init__(self, make):
        self.make, self.i = make, Signal(8)
        self.outputs = None

    def elaborate(self, platform):
        m = Module()
        self.outputs = self.make(m, self.i)
        return m


def check(make, cycles, count):
    dut = Delays(make)

    async def bench(ctx):
        given = list(range(7, 47))
        for number, value in enumerate(given):
            ctx.set(dut.i, value)
            if number >= cycles:
                assert [ctx.get(o) for o in dut.outputs] == [given[number - cycles]] * count
            await ctx.tick()

    simulate(dut, bench)


def test_a_cycle():
    check(lambda m, i: [delayed(m, i, "late")], 1, 1)


@pytest.mark.parametrize("cycles, copies", [(1, 1), (3, 1), (2, 4), (5, 4), (1, 2)])
def test_copies(cycles, copies):
    check(lambda m, i: delayed_copies(m, i, "late", cycles, copies), cycles, copies)


def test_signedness_stays():
    def make(m, i):
        (late,) = outputs = [delayed(m, i.as_signed(), "late")]
        assert late.shape().signed
        return outputs

    simulate(Delays(make), once)


def test_copies_of_a_register_differ():
    """Otherwise synthesis would make one of them."""

    def make(m, i):
        registers = delayed_copies(m, i, "late", 2, 4)
        assert [register.reset_less for register in registers] == [False, True, False, True]
        return registers

    simulate(Delays(make), once)
