import pytest

pytest.importorskip("torch")

from training_helpers import small_recipe

from hiddenite.golden.errors import InputError
from hiddenite.training.sweep import points_of, smallest_as_good


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
