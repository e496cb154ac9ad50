"""Trained networks on the presets, against results computed elsewhere."""

import time

import numpy as np
import pytest

from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim.verify import verify

NETWORKS = ("digits", "fashion", "cifar")
# The HX8K has room for the activations of small images only.
RUNS = [
    (name, preset)
    for name in NETWORKS
    for preset in PRESETS
    if preset != "hx8k" or name == "digits"
]
ICARUS_IMAGES = 2
MOST_MASK_BITS = 1.05  # times the entropy
MOST_ESTIMATE_ERROR = 0.02
MOST_ESTIMATE_SECONDS = 1.0


def check(name, preset, trained, engines, simulator="verilator", images=None):
    """Run a network; compare results with the expected ones and cycles with the estimate."""
    network, every, expected = trained(name)
    if len(every) == 1:
        every, expected = np.repeat(every, 2, axis=0), np.repeat(expected, 2, axis=0)
    c = PRESETS[preset]
    engines.simulation(c, simulator)  # for `verify` to find it built
    found = verify(
        network, every[:images], c, simulator=simulator, verilog=engines.simulated_verilog(c)
    )
    assert found.equal, found.difference
    np.testing.assert_array_equal(found.results, expected[:images])
    assert found.results.dtype == expected.dtype
    # Before the first image, the constructor's lanes write the identity, a word a cycle; one
    # cycle later the reader knows.
    first, *others = found.cycles
    assert set(others) == {others[0]}
    assert first == others[0] + c.och // c.constructor_lanes
    cycles = estimate(found.program).cycles
    assert abs(cycles / others[0] - 1) <= MOST_ESTIMATE_ERROR, (cycles, others[0])


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        pytest.param(*run, marks=pytest.mark.exhaustive("it is ecp5-25f in other sizes"))
        if run[1] == "ecp5-85f"
        else run
        for run in RUNS
    ],
)
def test_bit_exact_in_the_estimated_time(name, preset, trained, engines):
    check(name, preset, trained, engines)


@pytest.mark.parametrize(
    "preset",
    [
        "ecp5-25f",
        pytest.param("up5k", marks=pytest.mark.exhaustive("it takes minutes")),
        pytest.param("asic", marks=pytest.mark.exhaustive("it takes minutes")),
    ],
)
def test_upsamples_and_concats(preset, trained, engines):
    """A U-Net, whose narrowest concat is one of parts that fill no words."""
    check("geometry-2/unet-0.3", preset, trained, engines)


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("ternary-mlp-0.3", "up5k"),
        ("ternary-mlp-0.3", "ecp5-25f"),
        pytest.param(
            "binary-cnn-0.3", "asic", marks=pytest.mark.exhaustive("smaller ones keep all, too")
        ),
    ],
)
def test_learned_signs(name, preset, trained, engines):
    """Of weights half of which are pruned, and of weights all of which are kept."""
    check(f"geometry-2/{name}", preset, trained, engines, images=2)


ALIKE = pytest.mark.exhaustive("others cover what it would find")


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("dscnn", "up5k"),
        ("tcn", "tiny"),
        ("grouped", "ecp5-25f"),
        *(
            pytest.param(name, preset, marks=ALIKE)
            for name, presets in {
                "dscnn": ("tiny", "ecp5-25f", "asic"),
                "tcn": ("up5k", "ecp5-25f", "asic"),
                "grouped": ("tiny", "up5k", "asic"),
                "vww": ("up5k", "asic"),
                "mobilenetv2-96": ("asic",),
            }.items()
            for preset in presets
        ),
    ],
)
def test_groups_and_dilations(name, preset, trained, engines):
    """Depthwise convs, groups of 2 to 16 channels, causal ones that are dilated."""
    check(f"geometry-2/{name}-0.3", preset, trained, engines)


def test_bit_exact_with_icarus(trained, engines, request):
    images = None if request.config.option.all_images else ICARUS_IMAGES
    check("digits", "tiny", trained, engines, "icarus", images)


@pytest.mark.parametrize(("name", "preset"), RUNS)
def test_estimate_takes_no_time(name, preset, trained):
    network, *_ = trained(name)
    began = time.process_time()
    estimate(compile_network(network, PRESETS[preset]))
    assert time.process_time() - began < MOST_ESTIMATE_SECONDS


@pytest.mark.parametrize(("name", "preset"), [run for run in RUNS if run[0] != "digits"])
def test_masks_take_little_more_than_their_entropy(name, preset, trained):
    network, *_ = trained(name)
    program = compile_network(network, PRESETS[preset])
    masks = [layer.mask for layer in network.layers if hasattr(layer, "mask")]
    entropy = 0.0
    for mask in masks:
        density = mask.mean()
        entropy -= mask.sum() * np.log2(density) + (~mask).sum() * np.log2(1 - density)
    assert program.mask_bits <= MOST_MASK_BITS * entropy
