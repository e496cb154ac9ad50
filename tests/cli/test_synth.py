import json
import shlex

import pytest

from hiddenite.cli import synth
from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS
from hiddenite.synthesis import report, toolchain
from hiddenite.synthesis.nextpnr import Routed, Usage


@pytest.fixture
def tools():
    """Skips the test if the tools are not installed."""
    try:
        toolchain.yosys()
        toolchain.nextpnr("ice40")
        toolchain.nextpnr("ecp5")
    except InputError as error:
        pytest.skip(f"nothing is synthesised: {error}")


@pytest.fixture
def quick(monkeypatch, engines):
    """Verilog that is generated once."""
    monkeypatch.setattr(report, "generate", engines.verilog)


CASES = {
    "up5k": {"single_port_ram"},
    "ecp5-25f": {"distributed_ram"},
}


@pytest.mark.parametrize("target", CASES)
def test_report(run, here, tools, quick, target):
    arguments = ["synth", "array", "--target", target, "--config", "tiny"]
    ran = run(*arguments, "--seeds", "1", "--clock", "40", "--jobs", "1", "--json", "-o", "r.json")
    assert (ran.status, ran.err) == (0, "")
    facts = json.loads(ran.out)
    assert json.loads((here / "r.json").read_text()) == facts
    assert list(facts) == [
        "hiddenite", "command", "block", "module", "target", "part", "configuration_name",
        "configuration", "processing_elements", "tools", "synthesis", "packed",
        "lut4_per_processing_element", "place_and_route",
    ]  # fmt: skip
    assert facts["configuration"] == vars(PRESETS["tiny"])
    assert facts["processing_elements"] == 64 and facts["block"] == "array"
    assert set(facts["tools"]) == {"yosys", "nextpnr"}

    synthesis = facts["synthesis"]
    assert set(synthesis) == CASES[target] | {
        "options", "seconds", "lut4", "flip_flops", "carry_cells", "block_ram", "dsp", "cells",
    }  # fmt: skip
    assert synthesis["lut4"] == sum(n for cell, n in synthesis["cells"].items() if "LUT4" in cell)
    cells = facts["packed"]["logic_cells"]
    assert facts["lut4_per_processing_element"] == round(cells["used"] / 64, 2)
    assert cells["used"] >= synthesis["lut4"] > 0
    assert cells["percent"] == round(100 * cells["used"] / cells["available"], 1)

    routed = facts["place_and_route"]
    assert routed["target_mhz"] == 40
    # What every run of the family has, and what the part has.
    assert ("--tmg-ripup" in routed["options"]) == (target == "ecp5-25f")
    assert ("--25k" in routed["options"]) == (target == "ecp5-25f")
    assert routed["logic_cells_with_harness"] > cells["used"]
    (seed,) = routed["seeds"]
    assert list(seed) == ["seed", "fmax_mhz", "seconds", "error"] and seed["error"] is None
    assert 10 < seed["fmax_mhz"] < 1000
    for key in ("fmax_median_mhz", "fmax_minimum_mhz", "fmax_maximum_mhz"):
        assert routed[key] == seed["fmax_mhz"]

    # The command in the report makes the report, now from the cache.
    again = run(*shlex.split(facts["command"])[1:], "--json")
    assert json.loads(again.out) == facts
    table = run(*shlex.split(facts["command"])[1:])
    assert (table.status, table.err) == (0, "")
    for text in (
        "array of tiny",
        facts["part"],
        "64 PEs",
        "LUT4 per PE",
        "Fmax",
        "with the harness",
    ):
        assert text in table.out


def test_without_seeds_nothing_is_placed(run, tools, quick):
    ran = run("synth", "store", "--target", "hx8k", "--config", "tiny", "--json")
    facts = json.loads(ran.out)
    assert ran.status == 0 and facts["place_and_route"] is None
    assert facts["processing_elements"] is None
    assert facts["lut4_per_processing_element"] is None


def test_failed_seed_has_a_line(run, tools, quick, monkeypatch):
    def place(*_, seeds, **__):
        return [Routed(seed=s, fmax_mhz=None, seconds=1.0, error="Unable to\nplace") for s in seeds]

    monkeypatch.setattr(report, "place_and_route", place)
    ran = run("synth", "store", "--target", "hx8k", "--config", "tiny", "--seeds", "2")
    assert ran.status == 1 and "Fmax" not in ran.out
    assert ran.err == ("hiddenite: seed 1: Unable to place\nhiddenite: seed 2: Unable to place\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "ecp5-45f"], "no preset is named ecp5-45f: --config must be given"),
        (
            ["--target", "hx8k", "--config", "tiny", "--seeds", "1"],
            "engine does not fit iCE40 HX8K: 76 EBR needed, 32 available",
        ),
        (["nothing", "--target", "up5k", "--config", "tiny"], "block must be one of engine, "),
        ([], "missing option '--target'"),
        (["--target", "up5k", "-o", "/dev/null/r"], "/dev/null/r: cannot be written: Not a dir"),
    ],
)
def test_refused(refused, here, tools, quick, arguments, message):
    assert message in refused("synth", *arguments)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("packed", "what"), [(1, "store"), (2, "store in its harness")])
def test_block_that_does_not_fit(refused, tools, quick, monkeypatch, packed, what):
    calls = []

    def pack(*_):
        calls.append(None)
        return {"dsp": Usage(0, 8), "logic_cells": Usage(5280 + (len(calls) == packed), 5280)}

    monkeypatch.setattr(report, "pack", pack)
    line = refused("synth", "store", "--target", "hx8k", "--config", "tiny", "--seeds", "1")
    assert line == (f"{what} does not fit iCE40 HX8K: 5,281 logic cells needed, 5,280 available")


def test_missing_tool(refused, monkeypatch):
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    line = refused("synth", "--target", "up5k")
    assert line == "pyosys is not installed: install it with `pip install 'hiddenite[build]'`"


def test_preset_of_the_target_is_the_default(run, monkeypatch):
    asked = []

    def measure(block, target, configuration, **options):
        asked.append((block, target, configuration, options["configuration_name"]))
        raise InputError("enough")

    monkeypatch.setattr(synth, "measure", measure)
    assert run("synth", "--target", "ecp5-25f").err == "hiddenite: enough\n"
    assert asked == [("engine", "ecp5-25f", PRESETS["ecp5-25f"], "ecp5-25f")]
