"""Nothing depends on what registers and memories begin as, from a reset of one cycle on.

The harness's first reset is there from time 0. `engines` takes all initial values away: they are
unknown in Icarus, random in Verilator. So all tests of this folder run, on every kind of build;
here every preset does, and Icarus has random values, too: those builds that Verilator has not here.
"""

from dataclasses import replace

import pytest
from initial_values import with_random_initial_values
from system import presets
from system.cases import faults, small_case
from system.test_array_builds import BASE

from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim.simulation import Simulation, Stalls

BUILDS = {
    "flip": {"array": "flip", "mask_decoder": "serial", "shifter": "multipliers"},
    "combinational": {"array": "combinational", "activation_ports": 1, "post_lanes": 1},
    "chain": {
        "array": "chain",
        "pipelining": 3,
    },
    "tree": {"array": "tree", "pipelining": 1, "cols": 2},
}
CONFIGURATIONS = PRESETS | {name: replace(BASE, **build) for name, build in BUILDS.items()}
# Icarus takes minutes to compile the largest arrays.
SMALL = [name for name in CONFIGURATIONS if name not in ("asic", "ecp5-85f")]


def check(c, simulation):
    case = small_case(c)
    stalls = Stalls(program=0.3, image=0.3, result=0.3, seed=5)
    runs = [case.run(), case.run(stalls=stalls), case.run(reset_before=True)]
    assert not faults([case] * 3, simulation.run(runs))


@pytest.mark.parametrize("preset", presets.SAMPLE)
def test_none_in_verilator(preset, engines):
    check(PRESETS[preset], engines.simulation(PRESETS[preset]))


@pytest.mark.parametrize("name", SMALL)
def test_none_in_icarus(name, engines):
    check(CONFIGURATIONS[name], engines.simulation(CONFIGURATIONS[name], "icarus"))


@pytest.mark.parametrize(
    "name",
    [
        *BUILDS,
        *(
            pytest.param(
                name,
                marks=pytest.mark.exhaustive("presets begin with random values in Verilator"),
            )
            for name in SMALL
            if name not in BUILDS
        ),
    ],
)
def test_random_ones_in_icarus(name, engines):
    engines.require("icarus")
    c = CONFIGURATIONS[name]
    text = with_random_initial_values(engines.verilog(c), 1)
    check(c, Simulation(text, word_bits=c.program_bits, lanes=c.post_lanes, simulator="icarus"))
