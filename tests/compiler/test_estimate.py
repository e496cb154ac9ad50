from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import network_of, random_conv

from hiddenite.benchmarks.networks import deep_network
from hiddenite.cli.demonstration import load_demo
from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.golden.network import Add, Concat, Conv, Upsample
from hiddenite.rtl.configuration import PRESETS

BOUNDS = {"array", "constructor", "program", "post-processor", "image"}


@pytest.fixture(scope="module", params=PRESETS)
def digits(request):
    network, *_ = load_demo()
    program = compile_network(network, PRESETS[request.param])
    return network, program, estimate(program)


def test_layers_are_those_of_the_program(digits):
    network, program, found = digits
    assert [layer.name for layer in found.layers] == [stage.name for stage in program.stages]
    assert found.layers[0].operation == "load"
    convs = [layer for layer in network.layers if isinstance(layer, Conv)]
    rows = [layer for layer in found.layers if layer.operation == "conv"]
    assert [row.weights for row in rows] == [conv.mask.size for conv in convs]
    assert [row.density for row in rows] == [conv.mask.mean() for conv in convs]
    assert {layer.bound for layer in found.layers} <= BOUNDS


def test_totals_are_those_of_the_layers(digits):
    _, program, found = digits
    pes = program.configuration.processing_elements
    # What is left over is the end of the program.
    assert 0 <= found.cycles - sum(layer.cycles for layer in found.layers) < 16
    work = sum(layer.utilisation * layer.cycles for layer in found.layers)
    assert found.utilisation * found.cycles == pytest.approx(work)
    assert sum(layer.mask_bits for layer in found.layers) == program.mask_bits
    assert found.program_bytes == len(program.bytes)
    assert found.mask_bits_per_weight * program.weights == pytest.approx(program.mask_bits)
    assert max(layer.utilisation for layer in found.layers) <= 1
    assert work * pes > 0


@pytest.mark.parametrize(
    ("size", "density", "bound"), [(16, 0.3, "array"), (1, 0.3, "constructor")]
)
def test_bound(size, density, bound):
    """Large maps keep the array busy; a map of one pixel waits for its weights."""
    network, _ = deep_network(layers=2, size=size, density=density)
    found = estimate(compile_network(network, PRESETS["ecp5-25f"]))
    assert [layer.bound for layer in found.layers[1:]] == [bound] * 2


def test_bound_by_the_program_stream():
    """Dense masks over a narrow stream to many lanes."""
    network, _ = deep_network(layers=2, size=1, density=0.5)
    c = replace(PRESETS["asic"], program_bits=8)
    found = estimate(compile_network(network, c))
    assert {layer.bound for layer in found.layers[1:]} == {"program"}


def test_more_lanes_and_more_elements_take_fewer_cycles():
    network, _ = deep_network(layers=2, size=8)
    cycles = [
        estimate(compile_network(network, PRESETS[name])).cycles
        for name in ("tiny", "up5k", "ecp5-25f", "ecp5-85f", "asic")
    ]
    assert cycles == sorted(cycles, reverse=True)


def test_stages_of_joined_layers():
    """They move activations: no work, and no weights of the network's."""
    rng = np.random.default_rng(1)
    network = network_of(
        (8, 8, 6),
        random_conv(rng, 6, 8, name="a", input="image"),
        Concat(name="k", inputs=["a", "image"]),
        Concat(name="l", inputs=["image", "k"]),
        Upsample(name="u", input="l", factor=(2, 1)),
        Add(name="s", input="u", scale=9, residual="u", residual_scale=8, shift=5),
        random_conv(rng, 20, 16, name="b", input="s"),
        random_conv(rng, 8, 8, name="c", input="b", groups=2),
    )
    program = compile_network(network, PRESETS["tiny"])
    found = estimate(program)
    kinds = [layer.operation for layer in found.layers]
    assert list(dict.fromkeys(kinds)) == ["load", "conv", "copy", "concat", "upsample", "add"]
    assert program.weights == 6 * 8 + 20 * 16 + 8 * 8
    assert sum(layer.weights for layer in found.layers) == program.weights
    for layer in found.layers:
        assert (layer.utilisation > 0) == (layer.weights > 0) == (layer.operation == "conv")
    assert any(layer.mask_bits for layer in found.layers if layer.operation == "concat")
    assert sum(layer.mask_bits for layer in found.layers) == program.mask_bits
