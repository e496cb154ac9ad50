"""The emitted Verilog in the eyes of other tools."""

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from hiddenite.rtl.engine import memories
from hiddenite.rtl.presets import PRESETS
from hiddenite.rtl.verilog import SIMULATION
from hiddenite.sim import toolchain
from hiddenite.synthesis.netlist import cell_models
from hiddenite.synthesis.parts import PARTS

MOST_BYTES = 4_000_000
MOST_SECONDS = 30
# (width, depth): count. In this order: activation banks, tile buffer slices, channel records of two
# tiles, layer tables, increments of the output, results that wait.
MEMORIES = {
    "tiny": {(32, 2048): 4, (8, 1024): 4, (56, 4): 2, (40, 128): 1, (16, 128): 1},
    "up5k": {(64, 16384): 1, (16, 256): 16, (40, 32): 1, (48, 64): 1, (16, 64): 1},
    "hx8k": {(64, 256): 2, (16, 256): 8, (40, 16): 1, (40, 64): 1, (8, 64): 1},
    "ecp5-25f": {
        (8, 2048): 32, (16, 1024): 16, (48, 8): 4, (48, 64): 1, (11, 64): 1, (129, 16): 1
    },
    "ecp5-85f": {
        (8, 2048): 64, (16, 1024): 64, (64, 8): 8, (64, 64): 1, (11, 64): 1, (257, 16): 1
    },
    "asic": {(128, 4096): 16, (32, 1024): 16, (64, 2): 16, (64, 64): 1, (12, 64): 1},
}  # fmt: skip


@pytest.fixture
def design(engines, tmp_path):
    """Write a preset's Verilog to a file."""

    def design(preset):
        path = tmp_path / "hiddenite.v"
        path.write_text(engines.verilog(PRESETS[preset]))
        return path

    return design


def lint(*files):
    """Lint; return the status and what is said."""
    command = [toolchain.verilator().path, "--lint-only", "-Wall", "--top-module", "hiddenite"]
    done = subprocess.run(
        [*command, *files],
        env=toolchain.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def waivers():
    with resources.as_file(resources.files("hiddenite.rtl") / "lint.vlt") as path:
        yield path


@pytest.mark.parametrize("preset", PRESETS)
def test_lint(preset, design, waivers):
    status, said = lint(waivers, design(preset), f"-D{SIMULATION}")
    assert status == 0 and "%" not in said, said


def test_lint_of_vendor_cells(engines, waivers, tmp_path):
    """Whatever is to be said of the vendor's own models."""
    design, models, silence = (tmp_path / name for name in ("design.v", "models.v", "models.vlt"))
    design.write_text(engines.verilog(replace(PRESETS["tiny"], array="chain")))
    models.write_text(cell_models({"CCU2C": 1}, PARTS["ecp5-25f"]))
    silence.write_text('`verilator_config\nlint_off -file "*models.v"\n')
    status, said = lint(silence, waivers, design, models)
    assert status == 0 and "%" not in said, said


def test_every_waiver_has_a_reason_and_is_needed(design, waivers):
    text = waivers.read_text()
    rules = re.findall(r"^lint_off -rule (\w+)$", text, re.M)
    statements = [line for line in text.splitlines() if line and not line.startswith(("//", "`"))]
    assert rules and statements == [f"lint_off -rule {rule}" for rule in rules]
    assert len(set(rules)) == len(rules)
    needed = set()
    for preset in PRESETS:
        _, said = lint("-Wno-fatal", design(preset), f"-D{SIMULATION}")
        needed |= set(re.findall(r"^%Warning-(\w+):", said, re.M))
        if needed >= set(rules):
            break
    assert not set(rules) - needed


@pytest.mark.parametrize("preset", PRESETS)
def test_yosys_finds_no_fault_and_all_memories(preset, design, tmp_path):
    if importlib.util.find_spec("pyosys") is None:
        pytest.skip(f"preset {preset} is not checked with Yosys: pyosys is not installed")
    script, report = Path(__file__).with_name("yosys_report.py"), tmp_path / "report.json"
    command = [sys.executable, str(script), str(design(preset)), str(report)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    found = json.loads(report.read_text())
    inferred = {(width, depth): count for width, depth, count in found["memories"]}
    assert inferred == MEMORIES[preset]
    # Case statements that Yosys makes tables of.
    assert all("$auto$proc_rom" in name for name in found["tables"])

    stated = Counter()
    for memory in memories(PRESETS[preset]):
        stated[memory.width, memory.depth] += memory.count
    assert inferred == stated


def test_asic_is_generated_quickly_and_not_large(engines):
    text, seconds = engines.timed_verilog(PRESETS["asic"])
    assert len(text.encode()) <= MOST_BYTES
    assert seconds <= MOST_SECONDS
