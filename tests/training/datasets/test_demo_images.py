from importlib import resources

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from hiddenite.training.datasets import load


def test_the_demo_shows_images_that_its_network_was_not_trained_with():
    test = load("digits").test
    demo = resources.files("hiddenite.cli") / "demo"
    with resources.as_file(demo) as folder:
        assert (np.load(folder / "images.npy") == test.images[:100]).all()
        assert (np.load(folder / "labels.npy") == test.labels[:100]).all()
