import pytest

pytest.importorskip("torch")

from training_helpers import small_recipe

from hiddenite.golden.errors import InputError
from hiddenite.training.sweep import _in_order, points_of, smallest_as_good


def test_points():
    points = points_of(small_recipe(), [0.3, 0.1, 0.3], [1.0, 0.5])
    assert [point.name for point in points] == [
        "binary-w0.5",
        "dense-w0.5",
        "hidden-w0.5-d0.1",
        "hidden-w0.5-d0.3",
        "binary-w1",
        "dense-w1",
        "hidden-w1-d0.1",
        "hidden-w1-d0.3",
    ]
    assert points[3].recipe == small_recipe(width=0.5, density=0.3)
    assert points[5].recipe == small_recipe(width=1.0).of_kind("dense")


def test_teachers_come_first():
    def names(recipe, densities, widths, **options):
        parts = _in_order(points_of(recipe, densities, widths, **options))
        return [[point.name for point in part] for part in parts]

    distilled = small_recipe(distill=0.5)
    assert names(distilled, [0.3, 0.1], [1.0, 0.5]) == [
        ["dense-w0.5", "dense-w1"],
        [
            "binary-w0.5",
            "hidden-w0.5-d0.1",
            "hidden-w0.5-d0.3",
            "binary-w1",
            "hidden-w1-d0.1",
            "hidden-w1-d0.3",
        ],
    ]
    assert names(distilled, [0.3, 0.1], [1.0, 0.5], baselines=False) == [
        ["hidden-w0.5-d0.1", "hidden-w1-d0.1"],
        ["hidden-w0.5-d0.3", "hidden-w1-d0.3"],
    ]
    assert len(names(small_recipe(), [0.3, 0.1], [1.0])) == 1


@pytest.mark.parametrize("empty", ["densities", "widths"])
def test_refuses_nothing(empty):
    arguments = {"densities": [0.1], "widths": [1.0], empty: []}
    with pytest.raises(InputError, match=f"^{empty} of a sweep must be at least one, not none$"):
        points_of(small_recipe(), **arguments)


def result(kind, accuracy, size, width=1.0):
    return {"kind": kind, "accuracy": accuracy, "program_bytes": size, "width": width}


def test_smallest_as_good():
    results = [
        result("binary", 0.9, 8000),
        result("hidden", 0.91, 7000),
        result("hidden", 0.90, 5000, width=0.5),
        result("hidden", 0.89, 4000),
    ]
    assert smallest_as_good(results) == (results[2], results[0])
    assert smallest_as_good(results[:1] + results[3:]) == (None, results[0])
    assert smallest_as_good(results[1:]) == (None, None)
    assert smallest_as_good(results, width=0.5) == (None, None)
    none = [{**each, "program_bytes": None} for each in results]
    assert smallest_as_good([*none[1:3], results[0], none[3]]) == (None, results[0])
    assert smallest_as_good([none[1], results[2], none[0]]) == (results[2], none[0])


def test_refuses_densities_of_a_recipe_of_one_of():
    with pytest.raises(InputError, match=r"^density and one_of cannot both be given: "):
        points_of(small_recipe(one_of=4), [0.1], [1.0])
