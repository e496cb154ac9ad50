"""The same networks on every build of the array."""

import re
from dataclasses import replace

import numpy as np
import pytest
from random_networks import HARDWARE, random_images, random_network
from system.cases import Case, faults

from hiddenite.compiler.estimate import estimate
from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration
from hiddenite.sim.simulation import Simulation, Stalls

BASE = Configuration(
    ich=8,
    och=8,
    rows=2,
    constructor_lanes=4,
    post_lanes=4,
    program_bits=32,
    activation_words=1024,
    tile_words=256,
    timeout_cycles=1 << 16,
)
SIZES = {
    "verilator": (20, {"max_weights": 4000, "max_pixels": 100}),
    "icarus": (4, {"max_weights": 500, "max_pixels": 40, "max_layers": 4}),
}
BUILDS = {
    **{array: {"array": array} for array in ("tree", "flip", "chain", "combinational")},
    # Registers wherever there may be some.
    "high clock": {
        "array": "chain",
        "pipelining": 2,
    },
}
MOST_CYCLES = 16
MOST_ERROR = 0.02


def cases_of(c, simulator):
    """Random networks, the same ones for each build."""
    rng = np.random.default_rng(5)
    count, sizes = SIZES[simulator]
    cases = []
    while len(cases) < count:
        network = random_network(rng, features=HARDWARE, **sizes)
        try:
            cases.append(Case.of(network, random_images(rng, network, 1)[0], c))
        except InputError:
            continue
    return cases


def simulation(c, simulator, engines):
    """A build in Icarus; in Verilator, what is read of a word while it is written is wrong.

    Memories with two ports may give anything then; here they give the complement. It is one build
    for both purposes: emitted Verilog as it is runs in Icarus, and in Verilator in all other tests.
    """
    if simulator == "icarus":
        return engines.simulation(c, simulator)
    text, count = re.subn(
        r"read_data <= words\[read_address\];",
        "read_data <= (|write && write_address == read_address)"
        " ? ~words[read_address] : words[read_address];",
        engines.simulated_verilog(c),
    )
    assert count == 3
    return Simulation(text, word_bits=c.program_bits, lanes=c.post_lanes)


@pytest.mark.parametrize("simulator", SIZES)
@pytest.mark.parametrize("build", BUILDS)
def test_random_networks(build, simulator, engines):
    c = replace(BASE, **BUILDS[build])
    cases = cases_of(c, simulator)
    stalls = Stalls(program=0.3, image=0.3, result=0.3, seed=3)
    runs = [case.run() for case in cases] + [case.run(stalls=stalls) for case in cases]
    outcomes = simulation(c, simulator, engines).run(runs)
    assert not faults(cases + cases, outcomes)
    for case, outcome in zip(cases, outcomes, strict=False):
        error = abs(estimate(case.program).cycles - outcome.cycles)
        assert error <= max(MOST_ERROR * outcome.cycles, MOST_CYCLES)
