import re

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hiddenite.rtl.emission import emit


class Chooser(wiring.Component):
    """Conditions on constants and on inputs, and registers with and without a reset."""

    choice: In(2)
    constant: Out(4)
    chosen: Out(4)
    late: Out(4)

    def elaborate(self, platform):
        m = Module()
        one = Signal(init=1)
        with m.If(one):
            m.d.comb += self.constant.eq(9)
        with m.Switch(self.choice):
            with m.Case(0):
                m.d.comb += self.chosen.eq(3)
            with m.Case(1, 2):
                m.d.comb += self.chosen.eq(5)
            with m.Default():
                m.d.comb += self.chosen.eq(self.late)
        own = Signal(4, init=6, reset_less=True)
        m.d.sync += [own.eq(self.chosen), self.late.eq(own)]
        return m


@pytest.fixture(scope="module")
def text():
    return emit(Chooser(), "chooser")


def test_nothing_but_assignments_and_registers(text):
    assert set(re.findall(r"always.*", text)) == {"always @(posedge clk)"}
    assert "assign constant = " in text
    # Neither attributes nor comments of those that made it.
    assert "Generated" not in text and "full_case" not in text and "src" not in text


def test_initial_values_are_statements(text):
    assert set(re.findall(r"^  initial (\w+) = (\S+);$", text, re.M)) == {
        ("late", "4'h0"),
        ("own", "4'h6"),
    }
    assert not re.search(r"^  reg [^;]*=", text, re.M)


def test_same_text_whatever_yosys_amaranth_is_told_to_take(text, monkeypatch):
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "none of these")
    assert emit(Chooser(), "chooser") == text


def test_module_that_yosys_refuses(monkeypatch):
    monkeypatch.setattr("hiddenite.rtl.emission._SCRIPT", "no_such_pass\n")
    with pytest.raises(RuntimeError, match=r"^Yosys cannot write module chooser: ERROR: No such "):
        emit(Chooser(), "chooser")
