from dataclasses import replace

import pytest

from hiddenite.benchmarks.networks import deep_network
from hiddenite.cli.demonstration import load_demo
from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.golden.network import Conv
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
