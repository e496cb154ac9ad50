"""The simulated CCU2C against Yosys's."""

import importlib.util
import subprocess
import sys
from importlib import resources

import pytest

from hiddenite.rtl import carry_chain

# Those of the array, all inputs in turn, and arbitrary ones.
INITS = [
    *(getattr(carry_chain, name) for name in carry_chain.__all__ if name.isupper()),
    0xAAAA, 0xCCCC, 0xF0F0, 0xFF00, 0xFFFF, 0x96AA, 0x1234, 0xEDC9,
]  # fmt: skip

# A process of its own: Yosys prints a lot and ends the process when a proof fails.
SCRIPT = """
import sys
from pyosys import libyosys

design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.run_pass(command, design)
"""


def miter():
    """A module whose output is 0 as long as both models agree, for all INITs and injections."""
    lines = ["module miter (input [8:0] x, output differ);"]
    inputs = ["CIN", *(f"{name}{half}" for half in (0, 1) for name in "ABCD")]
    bits = ", ".join(f".{name}(x[{i}])" for i, name in enumerate(inputs))
    count = 0
    for number, init in enumerate(INITS):
        other = INITS[(number + 3) % len(INITS)]
        for inject in ("NO NO", "YES NO", "NO YES", "YES YES"):
            parameters = f".INIT0(16'd{init}), .INIT1(16'd{other}), "
            parameters += ", ".join(
                f'.INJECT1_{half}("{word}")' for half, word in enumerate(inject.split())
            )
            for cell in ("CCU2C", "simulated_CCU2C"):
                sums = ", ".join(
                    f".{s}({cell}_{count}[{i}])" for i, s in enumerate(("S0", "S1", "COUT"))
                )
                lines += [
                    f"wire [2:0] {cell}_{count};",
                    f"{cell} #({parameters}) {cell}_cell_{count} ({bits}, {sums});",
                ]
            count += 1
    differ = " | ".join(f"(CCU2C_{n} != simulated_CCU2C_{n})" for n in range(count))
    return "\n".join([*lines, f"assign differ = {differ};", "endmodule"])


def prove(tmp_path, model):
    (tmp_path / "model.v").write_text(model.replace("module CCU2C", "module simulated_CCU2C"))
    (tmp_path / "miter.v").write_text(miter())
    commands = [
        "read_verilog -overwrite +/ecp5/cells_sim.v",
        f"read_verilog {tmp_path / 'model.v'} {tmp_path / 'miter.v'}",
        "setattr -mod -unset whitebox -unset lib_whitebox *",
        "hierarchy -check -top miter",
        "proc",
        "flatten",
        "sat -verify -prove differ 0 -set-def-inputs miter",
    ]
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input="\n".join(commands),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("fault", [None, ("~lut0 &", "lut0 &"), ("carry0 & (", "CIN & (")])
def test_cells_are_those_of_yosys(fault, tmp_path):
    if importlib.util.find_spec("pyosys") is None:
        pytest.skip("the ECP5's cells are not compared with Yosys's: pyosys is not installed")
    model = resources.files("hiddenite.sim").joinpath("ecp5_cells.v").read_text()
    if fault is None:
        done = prove(tmp_path, model)
        assert done.returncode == 0 and "SUCCESS!" in done.stdout, done.stdout[-2000:]
    else:
        assert model.count(fault[0]) == 1
        done = prove(tmp_path, model.replace(*fault))
        assert done.returncode != 0 and "FAIL" in done.stdout, done.stdout[-2000:]
