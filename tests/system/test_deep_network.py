"""The array is kept busy: eight stacked 3x3 convs 64 -> 64 on a 16 x 16 map at density 0.3."""

import pytest

from hiddenite.benchmarks.networks import deep_network
from hiddenite.compiler.estimate import estimate
from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim.verify import verify

MOST_CYCLES = 1.10  # times weights * pixels / PEs
MOST_ESTIMATE_ERROR = 0.02


LONG = pytest.mark.exhaustive("it takes a minute; ecp5-25f has all that it tries")


@pytest.mark.parametrize(
    "preset", [pytest.param("up5k", marks=LONG), "ecp5-25f", pytest.param("asic", marks=LONG)]
)
def test_deep_network(preset, engines):
    network, images = deep_network()
    masks = [layer.mask for layer in network.layers]
    assert [mask.shape for mask in masks] == [(64, 3, 3, 64)] * 8
    assert all(abs(mask.mean() - 0.3) < 0.01 for mask in masks)
    assert all(shape == (16, 16, 64) for shape in network.shapes.values())

    c = PRESETS[preset]
    engines.simulation(c)  # for `verify` to find it built
    found = verify(network, images, c, verilog=engines.simulated_verilog(c))
    assert found.equal, found.difference
    assert found.results.std() > 10  # neither dead nor saturated
    (cycles,) = found.cycles
    ideal = sum(mask.size for mask in masks) * 16 * 16 / c.processing_elements
    assert ideal < cycles <= MOST_CYCLES * ideal
    assert abs(estimate(found.program).cycles / cycles - 1) <= MOST_ESTIMATE_ERROR
