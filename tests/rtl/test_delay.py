from amaranth.hdl import Elaboratable, Module, Signal
from rtl_helpers import simulate

from hiddenite.rtl.delay import delayed, delayed_twins


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


def check(make, count):
    dut = Delays(make)

    async def bench(ctx):
        given = list(range(7, 47))
        for number, value in enumerate(given):
            ctx.set(dut.i, value)
            if number:
                assert [ctx.get(o) for o in dut.outputs] == [given[number - 1]] * count
            await ctx.tick()

    simulate(dut, bench)


def test_a_cycle():
    check(lambda m, i: [delayed(m, i, "late")], 1)


def test_twins():
    check(lambda m, i: delayed_twins(m, i, "late"), 2)


def test_signedness_stays():
    def make(m, i):
        (late,) = outputs = [delayed(m, i.as_signed(), "late")]
        assert late.shape().signed
        return outputs

    simulate(Delays(make), once)


def test_twins_differ():
    """Otherwise synthesis would make one of them."""

    def make(m, i):
        twins = delayed_twins(m, i, "late")
        assert [twin.reset_less for twin in twins] == [False, True]
        return twins

    simulate(Delays(make), once)
