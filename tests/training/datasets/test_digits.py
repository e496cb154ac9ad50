import sys

import numpy as np
import pytest

pytest.importorskip("torch")

from hiddenite.training.datasets import load


def test_digits():
    original = pytest.importorskip(
        "sklearn.datasets", reason="the digits are not tested: scikit-learn is not installed"
    ).load_digits()
    digits = load("digits")
    assert digits.shape == (8, 8, 1)
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.classes == tuple("0123456789")
    assert np.bincount(digits.test.labels).min() >= 35
    # All images are there once, in the one split or the other.
    ours = np.concatenate([digits.train.images, digits.test.images]).reshape(1797, 64)
    levels = {level: (level * 255 * 2 + 16) // 32 for level in range(17)}
    expected = np.vectorize(levels.get)(original.images.astype(int)).reshape(1797, 64)
    assert expected.max() == 255
    np.testing.assert_array_equal(np.unique(ours, axis=0), np.unique(expected, axis=0))
    assert load("digits").fingerprint == digits.fingerprint
    assert load("digits", seed=1).fingerprint != digits.fingerprint


def test_without_scikit_learn(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with refused(
        "dataset 'digits' must have scikit-learn, which `pip install hiddenite[train]` installs"
    ):
        load("digits")
