import re

import pytest
from amaranth.back import verilog
from amaranth.hdl import Fragment, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rtl_helpers import simulate

from hiddenite.rtl.primitives.shared_module import SharedModule, collect_modules


class Counter(wiring.Component):
    """A leaf: adds up its input."""

    def __init__(self, width):
        super().__init__({"x": In(width), "total": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.total.eq(self.total + self.x)
        return m


class Counters(wiring.Component):
    """Several counters, shared under names of their widths."""

    def __init__(self, *widths):
        self.widths = widths
        super().__init__({"x": In(8), "totals": Out(8).array(len(widths))})

    def elaborate(self, platform):
        m = Module()
        for number, width in enumerate(self.widths):
            shared = SharedModule(f"counter_{width}", Counter, width)
            m.submodules[f"counter_{number}"] = shared
            m.d.comb += [
                shared.ports.x.eq(self.x + number),
                self.totals[number].eq(shared.ports.total),
            ]
        return m


def test_simulation_has_the_component_itself():
    dut = Counters(8, 8, 4)

    async def bench(ctx):
        ctx.set(dut.x, 5)
        await ctx.tick().repeat(3)
        assert [ctx.get(total) for total in dut.totals] == [15, 18, 21 % 16]

    simulate(dut, bench)


def test_verilog_has_instances_of_modules_to_be_emitted_once():
    with collect_modules() as modules:
        text = verilog.convert(Counters(8, 8, 4))
        assert list(modules) == ["counter_8", "counter_4"]
        for name, component in modules.items():
            leaf = verilog.convert(component, name=name)
            declared = re.search(rf"module {name}\((.*?)\)", leaf).group(1)
            assert set(declared.split(", ")) == {"clk", "rst", "x", "total"}
    assert len(re.findall(r"^\s+counter_8 ", text, re.M)) == 2
    assert len(re.findall(r"^\s+counter_4 ", text, re.M)) == 1
    assert not re.search(r"^module counter", text, re.M)
    for port in ("clk", "rst", "x", "total"):
        assert text.count(f".{port}(") == 3


def test_module_without_registers_has_no_clock():
    with collect_modules() as modules:
        m = Module()
        m.submodules.leaf = SharedModule("leaf", Counter, 8, clocked=False)
        text = verilog.convert(m, ports=[])
        # Amaranth warns of components that are never elaborated.
        Fragment.get(modules["leaf"], None)
    assert re.search(r"^\s+leaf ", text, re.M)
    assert ".x(" in text and ".clk(" not in text and ".rst(" not in text


def test_afterwards_modules_are_no_longer_collected():
    with pytest.raises(KeyError), collect_modules():
        raise KeyError
    test_simulation_has_the_component_itself()
