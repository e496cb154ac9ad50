"""The network that the package carries, on the presets, in a checkout that has nothing else."""

import numpy as np
import pytest

from hiddenite.cli.demonstration import load_demo
from hiddenite.compiler.estimate import estimate
from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim.verify import verify

IMAGES = 3
MOST_ERROR = 0.02


@pytest.mark.parametrize("preset", PRESETS)
def test_digits(preset, engines):
    """Bit-exact in the estimated time, one after the other and in batches where there are any."""
    network, images, _ = load_demo()
    c = PRESETS[preset]
    engines.simulation(c)  # for `verify` to find it built
    for batch in sorted({1, min(2, c.largest_batch)}):
        found = verify(
            network, images[:IMAGES], c, batch=batch, verilog=engines.simulated_verilog(c)
        )
        assert found.equal, found.difference
        cycles = estimate(found.program).cycles
        assert abs(cycles - found.cycles[-1]) <= MOST_ERROR * found.cycles[-1]
        assert np.array_equal(found.results.shape, (IMAGES, 1, 1, 10))
