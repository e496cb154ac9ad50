"""Convs with groups and dilations on the presets: bit-exact, in the estimated time.

::

    small   groups of every size below and above a word, next to those of depthwise convs
    shape   the layers of a network of depthwise convs, and of one of dilated ones
"""

import dataclasses

import numpy as np
import pytest
from rtl_helpers import network_of, random_conv
from system.cases import Case, faults

from hiddenite.compiler.estimate import estimate
from hiddenite.golden.network import Add, AvgPool, MaxPool
from hiddenite.rtl.configuration import PRESETS

MOST_ERROR = 0.02
MOST_CYCLES = 40

# The array of the largest preset, in the sizes of a small one.
WIDE = dataclasses.replace(
    PRESETS["asic"],
    ich=4,
    och=4,
    constructor_lanes=4,
    post_lanes=4,
    program_bits=16,
    activation_words=1024,
    largest_map=128,
    largest_kernel=32,
    largest_channels=256,
    largest_batch=2,
)
CONFIGURATIONS = {
    "tiny": PRESETS["tiny"],
    "up5k": PRESETS["up5k"],
    "hx8k": dataclasses.replace(PRESETS["hx8k"], activation_words=1024),
    "wide": WIDE,
}

# Channels of a group, output channels of it, groups.
GROUPS = [
    (1, 1, 24), (1, 2, 12), (1, 3, 9), (2, 1, 18), (3, 5, 7), (5, 3, 7), (5, 1, 11), (1, 5, 21),
    (4, 4, 6), (8, 8, 4), (12, 4, 4), (16, 24, 2), (21, 18, 2), (6, 32, 2), (7, 1, 3), (3, 3, 17),
]  # fmt: skip
# Height, width, kernel, stride, dilation, padding.
WINDOWS = [
    (6, 5, (3, 3), (1, 1), (1, 1), (1, 1)),
    (5, 6, (3, 2), (1, 1), (2, 3), (2, 1)),
    (7, 4, (2, 3), (2, 1), (1, 2), (0, 2)),
    (7, 7, (2, 2), (2, 3), (3, 2), (3, 0)),
    (4, 7, (1, 3), (1, 1), (1, 4), (0, 8)),
    (3, 3, (1, 1), (1, 1), (1, 1), (0, 0)),
]


def conv(rng, channels, out_channels, kernel=(1, 1), **fields):
    """A conv whose outputs spread over the range of their type."""
    fields = {
        "scale": rng.integers(-9000, 9000, out_channels).astype(np.int16),
        "shift": 14,
    } | fields
    return random_conv(rng, channels, out_channels, kernel, **fields)


def network(rng, number):
    """A conv with groups, next to the layer that reads it or at the end."""
    inputs, outputs, groups = GROUPS[number % len(GROUPS)]
    height, width, kernel, stride, dilation, padding = WINDOWS[number // 3 % len(WINDOWS)]
    layers = []
    fields = {"groups": groups, "stride": stride, "dilation": dilation, "padding": padding}
    window = conv(rng, inputs, groups * outputs, kernel, **fields)
    shape = window.output_shape((height, width, groups * inputs))
    if shape == (height, width, groups * inputs):
        layers.append(MaxPool(name="r", input="image", kernel=1))
        fields |= {"residual": "r", "residual_scale": 9000}
    if number % 3 == 1:
        mask = window.mask & (rng.random(window.mask.shape) < 0.5)
        window = dataclasses.replace(window, sign=mask)
    window = dataclasses.replace(window, **fields)
    if number % 4 == 0:
        layers.append(dataclasses.replace(window, output="int32"))
    else:
        layers += [window, MaxPool(name="e", input="conv", kernel=1)]
    return network_of((height, width, groups * inputs), *layers, seed=number)


def run(c, engines, networks, **least):
    """Simulate networks, each with an image of its own."""
    rng = np.random.default_rng(7)
    cases = [Case.of(own, rng.integers(0, 256, own.input.shape, np.uint8), c) for own in networks]
    outcomes = engines.simulation(c).run([case.run() for case in cases])
    assert not faults(cases, outcomes)
    for number, (case, outcome) in enumerate(zip(cases, outcomes, strict=True)):
        error = abs(estimate(case.program).cycles - outcome.cycles)
        assert error <= max(MOST_ERROR * outcome.cycles, MOST_CYCLES), (number, outcome.cycles)
    return cases, outcomes


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_groups_of_every_size(name, engines):
    rng = np.random.default_rng(3)
    cases, _ = run(CONFIGURATIONS[name], engines, [network(rng, n) for n in range(3 * len(GROUPS))])
    stages = [stage for case in cases for stage in case.program.stages]
    assert any(stage.input_step for stage in stages)
    assert any(stage.dilation != (1, 1) for stage in stages)


def depthwise_separable(rng, channels, blocks, size):
    layers, source, last = [], "image", 3
    for block in range(blocks):
        stride = 2 if block in (0, blocks - 1) else 1
        layers += [
            conv(rng, last, channels, name=f"p{block}", input=source),
            conv(rng, 1, channels, (3, 3), name=f"d{block}", input=f"p{block}", groups=channels,
                 padding=1, stride=stride),
        ]  # fmt: skip
        source, last = f"d{block}", channels
    layers.append(AvgPool(name="a", input=source, kernel=2, scale=1 << 12, shift=14))
    return network_of((*size, 3), *layers)


def dilated_residual(rng, channels, blocks, size):
    layers, source = [], "image"
    for block in range(blocks):
        far = 1 << block
        window = {"dilation": far, "padding": (2 * far, 0, 0, 0)}
        layers += [
            conv(rng, channels, channels, (3, 1), name=f"c{block}", input=source, **window),
            Add(name=f"a{block}", input=f"c{block}", scale=900, residual=source,
                residual_scale=800, shift=11),
        ]  # fmt: skip
        source = f"a{block}"
    layers.append(conv(rng, channels, 5, name="l", input=source, output="int32"))
    return network_of((*size, channels), *layers)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_networks_of_depthwise_and_of_dilated_convs(name, engines):
    rng = np.random.default_rng(4)
    networks = [
        depthwise_separable(rng, 20, 4, (17, 12)),
        depthwise_separable(rng, 32, 3, (12, 12)),
        dilated_residual(rng, 12, 4, (30, 1)),
        dilated_residual(rng, 8, 3, (14, 6)),
    ]
    (deep, *_), _ = run(CONFIGURATIONS[name], engines, networks)
    kinds = [stage.kind for stage in deep.program.stages]
    # A stage for each layer.
    assert kinds.count("conv") == 8
