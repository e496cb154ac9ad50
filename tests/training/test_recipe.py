import json
from dataclasses import asdict

import pytest

pytest.importorskip("torch")

from hiddenite.golden.errors import InputError
from hiddenite.training.recipe import RECIPES, Recipe

VALUES = {"name": "r", "dataset": "digits", "architecture": "digits_cnn", "epochs": 3}


def test_recipes_have_their_own_names():
    assert all(name == recipe.name for name, recipe in RECIPES.items())


def test_values_that_are_none_are_left_alone():
    recipe = Recipe(**VALUES).with_values(epochs=None, width=0.5)
    assert (recipe.epochs, recipe.width) == (3, 0.5)


def test_difference_survives_json():
    recipe = RECIPES["digits"]
    stored = json.loads(json.dumps(asdict(recipe)))
    assert recipe.difference(stored) is None
    assert recipe.with_values(density=0.1).difference(stored) == "density"
    assert recipe.difference({}) == "name"


def test_baselines_of_all_densities_are_one():
    recipe = Recipe(**VALUES)
    dense = recipe.with_values(density=0.1, scope="layer", distill=0.5).of_kind("dense")
    assert dense == recipe.with_values(one_of=4).of_kind("dense")
    assert dense.kind == "dense" and dense.distill == 0


def test_one_of_takes_the_place_of_a_density():
    recipe = Recipe(**VALUES)
    assert (recipe.density, recipe.one_of) == (0.3, None)
    for other in (
        Recipe(**VALUES, one_of=4),
        recipe.with_values(one_of=4),
        recipe.with_values(density=0.1).with_values(one_of=8).with_values(one_of=4),
    ):
        assert (other.density, other.one_of) == (None, 4)
        assert other.difference(json.loads(json.dumps(asdict(other)))) is None
    assert recipe.with_values(one_of=4).with_values(width=0.5).one_of == 4


def test_refuses_a_density_with_one_of():
    recipe = Recipe(**VALUES)
    message = (
        "^density and one_of cannot both be given: one of every 4 weights is a density of its own,"
        " not 0.3$"
    )
    with pytest.raises(InputError, match=message):
        Recipe(**VALUES, density=0.3, one_of=4)
    with pytest.raises(InputError, match=message):
        recipe.with_values(density=0.3, one_of=4)
    with pytest.raises(InputError, match=message):
        recipe.with_values(one_of=4).with_values(density=0.3)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("density", 0.0, "above 0 and at most 1"),
        ("density", 1.01, "above 0 and at most 1"),
        ("kind", "ternary", "one of hidden, binary, dense"),
        ("scope", "model", "one of layer, network"),
        ("precision", "int8", "one of float32, bfloat16"),
        ("epochs", 0, "at least 1"),
        ("batch", 0, "at least 1"),
        ("threads", 0, "at least 1"),
        ("width", 0.0, "above 0"),
        ("learning_rate", -1.0, "above 0"),
        ("temperature", 0.0, "above 0"),
        ("weight_decay", -0.1, "at least 0"),
        ("seed", -1, "at least 0"),
        ("ramp", 1.5, "from 0 to 1"),
        ("distill", -0.5, "from 0 to 1"),
        ("label_smoothing", 1.0, "at least 0 and below 1"),
    ],
)
def test_refuses(name, value, rule):
    with pytest.raises(InputError, match=f"^{name} must be {rule}, not {value!r}$"):
        Recipe(**{**VALUES, name: value})
