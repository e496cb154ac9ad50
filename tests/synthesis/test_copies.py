from amaranth.back import verilog
from amaranth.hdl import Module, Signal

from hiddenite.rtl.primitives.delay import COPIES, delayed_copy
from hiddenite.synthesis.parts import PARTS
from hiddenite.synthesis.synthesize import synthesize


def test_synthesis_leaves_copies_apart():
    m, value = Module(), Signal()
    outputs = [Signal(name=f"o_{n}") for n in range(COPIES)]
    for n, output in enumerate(outputs):
        m.d.comb += output.eq(delayed_copy(m, value, f"late_{n}", n))
    text = verilog.convert(m, name="copies", ports=[value, *outputs], emit_src=False)
    netlist = synthesize(text, "copies", PARTS["ecp5-25f"])
    assert netlist.cells["TRELLIS_FF"] == COPIES
