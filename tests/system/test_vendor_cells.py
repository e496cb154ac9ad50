"""Emitted Verilog has vendors' cells for synthesis and additions for simulators: the same bits."""

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from system.cases import faults
from system.test_array_builds import BASE, cases_of

from hiddenite.rtl.verilog import SYNTHESIS
from hiddenite.sim.simulation import Simulation, Stalls
from hiddenite.synthesis.netlist import cell_models
from hiddenite.synthesis.parts import PARTS

CHAIN = replace(BASE, array="chain", rows=1)
# Of its channels, which have the same dot product, as many as an engine has at least.
ONE = replace(CHAIN, och=1, constructor_lanes=1, post_lanes=1)

# A process of its own: Yosys prints a lot and ends the process when a proof fails. Registers have
# the same names on both sides: equal from the start, and what goes into them is proven equal. Names
# with a $ within chains are Amaranth's own, those between underscores Yosys's: they say nothing.
PROOF = """
import sys
from pyosys import libyosys

design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.run_pass(command, design)
"""
COMMANDS = """
read_verilog -nosynthesis {text}
prep -flatten -top hiddenite_dot_product
select -assert-none t:*CCU2C
rename -hide w:*.$* w:*._*_
design -stash words
read_verilog -overwrite +/ecp5/cells_sim.v
read_verilog {text}
setattr -mod -unset whitebox -unset lib_whitebox *
prep -top hiddenite_dot_product
select -assert-any t:*CCU2C
flatten
rename -hide w:*.$* w:*._*_
design -stash cells
design -copy-from words -as words hiddenite_dot_product
design -copy-from cells -as cells hiddenite_dot_product
equiv_make words cells both
hierarchy -top both
equiv_simple
equiv_status -assert
"""


@pytest.fixture
def prove(engines, tmp_path):
    """Prove both kinds of a dot product equal; return the status and what Yosys says."""
    if importlib.util.find_spec("pyosys") is None:
        pytest.skip("vendors' cells are not compared with additions: pyosys is not installed")

    def prove(c, change=lambda text: text):
        path = tmp_path / "design.v"
        path.write_text(change(engines.verilog(c)))
        done = subprocess.run(
            [sys.executable, "-c", PROOF],
            input=COMMANDS.format(text=path).strip(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    return prove


@pytest.mark.parametrize(
    ("ich", "bits"),
    [
        (1, 12),
        (2, 13),
        (4, 32),
        (8, 12),
        (8, 20),
        (16, 22),
        pytest.param(
            32,
            32,
            marks=pytest.mark.exhaustive("its chains are those of 16 inputs, and more like them"),
        ),
    ],
)
def test_cells_add_what_words_add(ich, bits, prove):
    status, said = prove(replace(ONE, ich=ich, accumulator_bits=bits))
    assert status == 0 and "Equivalence successfully proven!" in said, said[-2000:]


def test_each_cell_counts(prove, engines):
    """A wrong bit in one of the tables, of each kind in turn, is found."""
    places = {m[1]: m for m in re.finditer(r"\.INIT[01]\(16'h(\w{4})\)", engines.verilog(ONE))}
    assert len(places) == 6
    for init, place in places.items():
        at, wrong = place.start(1), f"{int(init, 16) ^ 0x8000:04x}"
        status, said = prove(ONE, lambda t, at=at, wrong=wrong: t[:at] + wrong + t[at + 4 :])
        assert status != 0 and "ERROR: Found" in said, (init, said[-2000:])


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_random_networks_on_cells(simulator, engines, request):
    """In one simulator: the cells and networks of both are the same, and the proofs above do more.

    Icarus compiles the cells' models in a small part of the time; Verilator takes its place where
    it is not installed. `--exhaustive` takes both.
    """
    engines.require(simulator)
    other = simulator == "verilator" and shutil.which("iverilog")
    if other and not request.config.option.exhaustive:
        pytest.skip("with --exhaustive only: Icarus has run networks on cells")
    models = cell_models({"CCU2C": 1}, PARTS["ecp5-25f"])
    text = f"`define {SYNTHESIS}\n{engines.verilog(CHAIN)}{models}"
    simulation = Simulation(
        text, word_bits=CHAIN.program_bits, lanes=CHAIN.post_lanes, simulator=simulator
    )
    cases = cases_of(CHAIN, simulator)
    stalls = Stalls(program=0.3, image=0.3, result=0.3, seed=3)
    outcomes = simulation.run([case.run(stalls=stalls) for case in cases])
    assert not faults(cases, outcomes)
