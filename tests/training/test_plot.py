import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

import matplotlib.image

from hiddenite.training.plot import draw


def result(kind, width, density, accuracy, size, bits):
    return {
        "kind": kind,
        "width": width,
        "density": density,
        "accuracy": accuracy,
        "program_bytes": size,
        "bits_per_weight": bits,
    }


RESULTS = [
    result("binary", 1.0, 1.0, 0.9, 8000, 1),
    result("dense", 1.0, 1.0, 0.92, 64000, 8),
    result("hidden", 1.0, 0.1, 0.89, 4000, 0.47),
    result("hidden", 1.0, 0.3, 0.91, 7000, 0.88),
]


def test_draws_a_picture_that_changes_with_the_results(tmp_path):
    pictures = []
    for number, results in enumerate((RESULTS, RESULTS[:3], RESULTS)):
        path = tmp_path / f"{number}.png"
        draw(results, path, title="a sweep")
        pictures.append(matplotlib.image.imread(path))
    assert pictures[0].shape[0] > 400 and pictures[0].shape[1] > 800
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[0] == pictures[2]).all()


def test_draws_without_baselines(tmp_path):
    draw(RESULTS[2:], tmp_path / "sweep.png", title="a sweep")
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


@pytest.mark.parametrize("without", [RESULTS, RESULTS[1:]])
def test_draws_what_has_no_program(tmp_path, without):
    results = [{**r, "program_bytes": None} if r in without else r for r in RESULTS]
    draw(results, tmp_path / "sweep.png", title="a sweep")
    assert matplotlib.image.imread(tmp_path / "sweep.png").shape[0] > 400
