"""Handwritten digits of 8x8 pixels, which come with scikit-learn."""

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.dataset import ArraySplit, Dataset

TEST_IMAGES = 360
"""How many of the 1,797 images are for testing."""


def load_digits(*, seed=0):
    """Return the digits, split at random with the classes in the same proportions.

    Parameters
    ----------
    seed : int
        Decides which images are for testing.

    Returns
    -------
    Dataset
        Images of shape (8, 8, 1).

    Raises
    ------
    InputError
        scikit-learn is not installed.
    """
    try:
        from sklearn import datasets, model_selection
    except ImportError:
        raise InputError(
            "dataset 'digits' must have scikit-learn, which `pip install hiddenite[train]` installs"
        ) from None
    bunch = datasets.load_digits()
    # 17 levels of grey, 0 to 16, spread over a byte.
    images = np.floor(bunch.images * (255 / 16) + 0.5).astype(np.uint8)[..., np.newaxis]
    parts = model_selection.train_test_split(
        np.arange(len(images)), test_size=TEST_IMAGES, random_state=seed, stratify=bunch.target
    )
    train, test = (ArraySplit(images[part], bunch.target[part]) for part in parts)
    classes = tuple(str(name) for name in bunch.target_names)
    return Dataset(name="digits", train=train, test=test, classes=classes)
