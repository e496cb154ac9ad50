"""Random networks of some size on the presets: bit-exact, in the estimated time."""

import numpy as np
import pytest
from random_joins import random_joined_network
from random_networks import HARDWARE, random_images, random_network
from system import presets
from system.cases import Case, faults

from hiddenite.compiler.estimate import estimate
from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS

NETWORKS = 60
MOST_ERROR = 0.02
# Of networks that run for a few hundred cycles.
MOST_CYCLES = 16


@pytest.mark.parametrize("joined", [False, True], ids=["plain", "joined"])
@pytest.mark.parametrize("preset", presets.SAMPLE)
def test_random_networks(preset, joined, engines):
    c = PRESETS[preset]
    rng = np.random.default_rng(21)
    cases = []
    while len(cases) < NETWORKS:
        if joined:
            network = random_joined_network(rng, word=c.ich, max_weights=30_000, max_pixels=600)
        else:
            sizes = {"max_weights": 30_000, "max_pixels": 600, "max_size": 28}
            network = random_network(rng, features=HARDWARE, **sizes)
        try:
            cases.append(Case.of(network, random_images(rng, network, 1)[0], c))
        except InputError:
            continue
    outcomes = engines.simulation(c).run([case.run() for case in cases])
    assert not faults(cases, outcomes)
    for number, (case, outcome) in enumerate(zip(cases, outcomes, strict=True)):
        error = abs(estimate(case.program).cycles - outcome.cycles)
        assert error <= max(MOST_ERROR * outcome.cycles, MOST_CYCLES), (number, outcome.cycles)
