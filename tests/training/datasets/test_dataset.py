import numpy as np
import pytest

pytest.importorskip("torch")

from hiddenite.training.datasets import ArraySplit, Dataset

IMAGES = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2, 1)


def dataset(*, name="small", train=IMAGES, labels=(0, 1, 1), test=IMAGES, classes=("a", "b")):
    return Dataset(
        name=name,
        train=ArraySplit(train, labels),
        test=ArraySplit(test, [0] * len(test)),
        classes=classes,
    )


def test_split_in_memory():
    split = dataset().train
    assert len(split) == 3
    assert split.shape == dataset().shape == (2, 2, 1)
    assert split.labels.dtype == np.int64
    assert split.labels.tolist() == [0, 1, 1]
    batch = split.batch([2, 0, 2])
    assert batch.dtype == np.uint8
    np.testing.assert_array_equal(batch, IMAGES[[2, 0, 2]])
    np.testing.assert_array_equal(split.images, IMAGES)
    assert split.batch([]).shape == (0, 2, 2, 1)


def test_batches_are_copies():
    split = dataset().train
    split.batch([0])[:] = 99
    np.testing.assert_array_equal(split.images, IMAGES)


def test_fingerprint_is_that_of_the_data():
    same = dataset(name="other")
    assert same.fingerprint == dataset().fingerprint
    assert len(same.fingerprint) == 16
    int(same.fingerprint, 16)


@pytest.mark.parametrize(
    "changed",
    [
        {"labels": (0, 1, 0)},
        {"train": IMAGES[::-1]},
        {"test": IMAGES[:2]},
        {"classes": ("a", "c")},
        {"classes": ("a", "b", "c")},
        {"train": IMAGES.reshape(3, 4, 1, 1), "test": IMAGES.reshape(3, 4, 1, 1)},
    ],
)
def test_fingerprint_changes_with_the_data(changed):
    assert dataset(**changed).fingerprint != dataset().fingerprint


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": (0, 1, 2)}, "dataset 'small', train: labels must be 0 to 1, not 2"),
        ({"labels": (0, -1, 1)}, "dataset 'small', train: labels must be 0 to 1, not -1"),
        ({"test": IMAGES[:0]}, "dataset 'small', test: must have at least one image, not 0"),
        (
            {"test": IMAGES[:, :1]},
            "dataset 'small': images to test must have the shape of those to train, (2, 2, 1),"
            " not (1, 2, 1)",
        ),
    ],
)
def test_rules(changed, message, refused):
    with refused(message):
        dataset(**changed)
