"""The emitted Verilog in the eyes of other tools."""

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from system import presets

from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.engine import memories

MOST_BYTES = 4_000_000
MOST_SECONDS = 30
# (width, depth): count. In this order: activation banks, tile buffer slices, channel records of two
# tiles, layer tables, increments of the output, results that wait, residuals that wait.
MEMORIES = {
    "tiny": {(32, 2048): 4, (8, 1024): 4, (56, 4): 2, (40, 128): 1, (16, 128): 1},
    "up5k": {(64, 16384): 1, (16, 256): 16, (40, 32): 1, (48, 64): 1, (16, 64): 1},
    "hx8k": {(64, 256): 2, (16, 256): 8, (40, 16): 1, (40, 64): 1, (8, 64): 1},
    "ecp5-25f": {
        (8, 2048): 32, (16, 1024): 16, (48, 8): 4, (48, 128): 1, (11, 128): 1, (129, 16): 1,
        (32, 16): 8,
    },
    "ecp5-85f": {
        (8, 2048): 64, (16, 1024): 64, (64, 8): 8, (64, 128): 1, (11, 128): 1, (257, 16): 1,
        (32, 16): 16,
    },
    "asic": {
        (128, 4096): 16, (32, 1024): 16, (64, 2): 16, (64, 128): 1, (12, 128): 1, (128, 2): 16
    },
}  # fmt: skip


@pytest.fixture
def design(engines, tmp_path):
    """Write a preset's Verilog to a file."""

    def design(preset):
        path = tmp_path / "hiddenite.v"
        path.write_text(engines.verilog(PRESETS[preset]))
        return path

    return design


@pytest.mark.parametrize("preset", PRESETS)
def test_stated_memories(preset):
    stated = Counter()
    for memory in memories(PRESETS[preset]):
        stated[memory.width, memory.depth] += memory.count
    assert stated == MEMORIES[preset]


@pytest.mark.parametrize("preset", presets.SAMPLE)
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


def test_asic_is_generated_quickly_and_not_large(engines):
    text, seconds = engines.timed_verilog(PRESETS["asic"])
    assert len(text.encode()) <= MOST_BYTES
    assert seconds <= MOST_SECONDS
