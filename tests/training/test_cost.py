import pytest

pytest.importorskip("torch")

from training_helpers import small_dataset, small_recipe

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS
from hiddenite.training.cost import cost_of, describe
from hiddenite.training.run import Outcome, untrained


@pytest.fixture(scope="module")
def network():
    return untrained(small_recipe(density=0.1, width=1.0), small_dataset())


def outcome_of(recipe, network):
    return Outcome(
        recipe=recipe,
        float_accuracy=0.5,
        accuracy=0.5,
        class_agreement=1.0,
        layer_agreement={},
        network=network,
    )


def test_cost_is_that_of_the_program(network):
    cost = cost_of(network, PRESETS["up5k"])
    program = compile_network(network, PRESETS["up5k"])
    assert cost.program_bytes == len(program.bytes)
    assert cost.weights == program.weights
    assert cost.kept == sum(int(layer.mask.sum()) for layer in network.layers if layer.op == "conv")
    assert 0.4 < cost.bits_per_weight < 0.6


def test_other_codes_change_the_weights_bytes_alone(network):
    cost = cost_of(network, PRESETS["up5k"])
    rest = cost.program_bytes - cost.mask_bits // 8
    assert cost.program_bytes_at(1) == rest + -(-cost.weights // 8)
    assert cost.program_bytes_at(8) == rest + cost.weights
    assert cost.program_bytes < cost.program_bytes_at(1)


def test_density_is_what_was_asked_for(network):
    cost = cost_of(network, PRESETS["up5k"])
    for values, density in (({"density": 0.1}, 0.1), ({"one_of": 4}, 0.25)):
        recipe = small_recipe(**values)
        assert describe(outcome_of(recipe, network), cost)["density"] == density


def test_cost_without_hardware_is_that_of_the_masks(network):
    cost, there = cost_of(network, None), cost_of(network, PRESETS["up5k"])
    assert (cost.weights, cost.kept) == (there.weights, there.kept)
    assert cost.program_bytes is None and cost.program_bytes_at(1) is None
    # Words of a program are filled up.
    assert 0.9 * there.mask_bits < cost.mask_bits <= there.mask_bits
    report = describe(outcome_of(small_recipe(density=0.1), network), cost)
    assert report["program_bytes"] is None
    assert report["bits_per_weight"] == cost.mask_bits / cost.weights


def test_kept_density_is_that_of_the_file(network):
    cost = cost_of(network, PRESETS["up5k"])
    hidden = describe(outcome_of(small_recipe(density=0.01), network), cost)
    assert hidden["density"] == 0.01
    assert hidden["kept_density"] == cost.kept / cost.weights == pytest.approx(0.1, abs=0.001)
    binary = describe(outcome_of(small_recipe().of_kind("binary"), None), cost)
    assert binary["kept_density"] == binary["density"] == 1


def test_refuses_what_does_not_fit():
    network = untrained(small_recipe(width=16.0), small_dataset())
    with pytest.raises(InputError, match=r"^layer "):
        cost_of(network, PRESETS["tiny"])
