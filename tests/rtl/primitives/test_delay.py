import pytest
from amaranth.hdl import Const, Elaboratable, Module, Signal, signed, unsigned
from rtl_helpers import simulate

from hiddenite.rtl.primitives.delay import COPIES, delayed, delayed_copy


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


def test_copies():
    check(lambda m, i: [delayed_copy(m, i, f"late_{n}", n) for n in range(COPIES)], COPIES)


def test_signedness_stays():
    def make(m, i):
        (late,) = outputs = [delayed(m, i.as_signed(), "late")]
        assert late.shape().signed
        return outputs

    simulate(Delays(make), once)


@pytest.mark.parametrize("shape", [unsigned(1), unsigned(4), signed(4), unsigned(0)])
def test_copies_differ(shape):
    """Otherwise synthesis would make one of them."""

    def make(m, i):
        value = Signal(shape)
        copies = [delayed_copy(m, value, f"late_{n}", n) for n in range(COPIES)]
        assert all(copy.shape() == shape for copy in copies)
        ones = Const(-1, shape).value
        found = [(copy.init, copy.reset_less) for copy in copies]
        assert found == [(0, False), (0, True), (ones, False), (ones, True)]
        return copies

    simulate(Delays(make), once)


def test_no_more_copies():
    def make(m, i):
        with pytest.raises(ValueError, match="copy must be 0 to 3, not 4"):
            delayed_copy(m, i, "late", COPIES)
        return [delayed(m, i, "late")]

    simulate(Delays(make), once)
