from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import compiled, random_conv

from hiddenite.compiler.estimate import estimate
from hiddenite.compiler.lowering.costs import stage_cycles
from hiddenite.golden.network import MaxPool
from hiddenite.rtl.configuration import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_of_one_pixel_the_constructor(name):
    """Nothing takes longer where all weights are pruned."""
    c = PRESETS[name]
    channels = 8 * c.ich * 4
    conv = random_conv(np.random.default_rng(1), channels, 8 * c.och, density=0)
    found = estimate(compiled((1, 1, channels), conv, c=c)).layers[-1]
    cycles = stage_cycles(c, (1, 1, 8 * c.och), 1, steps=channels // c.ich, conv=True)
    assert 0.5 * found.cycles < cycles < 1.2 * found.cycles


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_close_to_the_estimate(name, conv, residual):
    """Of a large map, for which neither table nor weights are waited."""
    c = replace(PRESETS[name], activation_words=1 << 15)
    if residual and not conv:
        pytest.skip("a pool of the network has no residual")
    shape = (40, 40, 2 * c.ich)
    added = {"residual": "image", "residual_scale": 2} if residual else {}
    layers = [
        MaxPool(name="a", input="image", kernel=3, stride=1, padding=1),
        random_conv(np.random.default_rng(1), shape[2], shape[2], input="a", **added),
        MaxPool(name="end", input="conv", kernel=1),
    ]
    found = estimate(compiled(shape, *layers, c=c)).layers[2 if conv else 1]
    steps = 2 if conv else 9
    cycles = stage_cycles(c, shape, 1, steps=steps, conv=conv, residual=residual)
    assert cycles == pytest.approx(found.cycles, rel=0.2)
