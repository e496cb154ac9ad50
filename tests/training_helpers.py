"""Small data and recipes for tests that train."""

import numpy as np

from hiddenite.training.datasets import ArraySplit, Dataset
from hiddenite.training.recipe import Recipe


def bars(count=96, *, seed=0, size=8, classes=4):
    """Return a split of noisy images with one bright bar; the bar's place is the class."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = random.integers(0, 80, (count, size, size, 1))
    for image, label in zip(images, labels, strict=True):
        image[size * label // classes : size * (label + 1) // classes] += 120
    return ArraySplit(images.astype(np.uint8), labels)


def small_dataset(seed=0):
    """Return a dataset that a small network learns in a few epochs."""
    return Dataset(
        name="bars",
        train=bars(seed=seed),
        test=bars(64, seed=seed + 1),
        classes=("top", "upper", "lower", "bottom"),
    )


def small_recipe(**values):
    """Return a recipe for it that takes a second."""
    recipe = Recipe(
        name="bars", dataset="bars", architecture="digits_cnn", epochs=4, batch=16, threads=1
    )
    return recipe.with_values(**{"width": 0.25, **values})
