import importlib.util
import shutil

import pytest

from hiddenite.golden.errors import InputError
from hiddenite.synthesis import toolchain
from hiddenite.synthesis.parts import PARTS

COUNTER = """\
module counter (input clk, input rst, input [3:0] step, output reg [7:0] value);
  always @(posedge clk) value <= rst ? 0 : value + step;
endmodule
"""


@pytest.fixture(params=["up5k", "ecp5-25f"])
def part(request):
    """A part of each family; skips the test if the tools are not installed."""
    made = PARTS[request.param]
    try:
        toolchain.yosys()
        toolchain.nextpnr(made.family)
    except InputError as error:
        pytest.skip(f"nothing is synthesised: {error}")
    return made


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HIDDENITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def icarus_only():
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed")


@pytest.fixture
def without(monkeypatch):
    """Hide Python packages and programs."""
    find = importlib.util.find_spec

    def hide(*names):
        monkeypatch.setattr(
            toolchain.importlib.util,
            "find_spec",
            lambda name: None if name in names else find(name),
        )
        monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)

    return hide


@pytest.fixture
def counter():
    """Verilog of a module `counter`."""
    return COUNTER
