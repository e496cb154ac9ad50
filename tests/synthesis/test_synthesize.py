import pytest

from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.verilog import TOP
from hiddenite.synthesis import synthesize as module
from hiddenite.synthesis.parts import PARTS
from hiddenite.synthesis.synthesize import synthesize


def test_cells_are_counted(part, counter):
    steps = []
    netlist = synthesize(counter, "counter", part, lambda *step: steps.append(step))
    assert netlist.count("flip_flops") == 8
    assert netlist.count("lut4") + 2 * netlist.count("carry_cells") >= 8
    assert netlist.count("block_ram") == netlist.count("dsp") == 0
    assert not any(cell.startswith("$") for cell in netlist.cells)
    assert "module counter" in netlist.verilog.read_text()
    assert steps[-1] == ("synthesise", 1, 1, "")


def test_second_time_is_taken_from_the_cache(part, counter, own_cache, monkeypatch):
    first = synthesize(counter, "counter", part)
    monkeypatch.setattr(module, "run_yosys", None)
    assert synthesize(counter, "counter", part) == first
    assert [path.name for path in own_cache.iterdir()] == [first.directory.name]
    with pytest.raises(TypeError):
        synthesize(counter + "\n", "counter", part)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("module counter(; endmodule", "syntax error"),
        ("module counter (output a); nothing n (.a(a)); endmodule", "not part of the design"),
    ],
)
def test_failure_leaves_nothing(part, own_cache, text, why):
    with pytest.raises(RuntimeError) as caught:
        synthesize(text, "counter", part)
    assert str(caught.value).startswith("Yosys failed:\n") and why in str(caught.value)
    assert list(own_cache.iterdir()) == []


def test_each_multiplication_has_its_block(engines):
    """Of an engine as a whole, Yosys drops one, without a word, whose register it uses twice."""
    verilog = engines.verilog(PRESETS["up5k"])
    assert synthesize(verilog, TOP, PARTS["up5k"]).count("dsp") == 7
