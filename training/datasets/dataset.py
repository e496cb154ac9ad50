"""Datasets: images for training, images for testing, and the names of their classes."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError


class Split(ABC):
    """Labelled images of one shape, in memory or in files.

    Attributes
    ----------
    labels : int64 array, (N,)
        The class of each image.
    shape : tuple of int
        (H, W, C) of each image.
    images : uint8 array, (N, H, W, C), or None
        All images if they are in memory.
    """

    def __init__(self, labels, shape):
        self.labels = np.array(labels, np.int64)
        self.shape = tuple(int(size) for size in shape)
        self.images: np.ndarray | None = None

    def __len__(self):
        return len(self.labels)

    @abstractmethod
    def batch(self, indices):
        """Return copies of some images: uint8, (len(indices), H, W, C)."""

    @abstractmethod
    def _content(self) -> Iterator[bytes | memoryview]:
        """Yield what tells these images from others."""


class ArraySplit(Split):
    """Labelled images in memory.

    Parameters
    ----------
    images : uint8 array, (N, H, W, C)
        The images, at least one.
    labels : integer array, (N,)
        The class of each image.
    """

    images: np.ndarray

    def __init__(self, images, labels):
        super().__init__(labels, images.shape[1:])
        self.images = np.ascontiguousarray(images, np.uint8)

    def batch(self, indices):
        """Return copies of some images: uint8, (len(indices), H, W, C)."""
        return self.images[np.asarray(indices, np.int64)]

    def _content(self):
        yield self.images.data


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images for training and for testing.

    Parameters
    ----------
    name : str
        What the dataset is called.
    train, test : Split
        The images; at least one each, of one shape.
    classes : tuple of str
        The name of each class; a label is a place in it.

    Raises
    ------
    InputError
        The splits break one of these rules.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        for part in ("train", "test"):
            split = getattr(self, part)
            check_labels(f"dataset {self.name!r}, {part}", split.labels, len(self.classes))
        if self.train.shape != self.test.shape:
            raise InputError(
                f"dataset {self.name!r}: images to test must have the shape of those to train,"
                f" {self.train.shape}, not {self.test.shape}"
            )

    @property
    def shape(self):
        """(H, W, C) of each image."""
        return self.train.shape

    @cached_property
    def fingerprint(self):
        """16 hex digits that change with the data.

        They depend on classes, shape, labels and images; of images that stay in files, on paths
        inside the dataset and sizes of the files. They do not depend on the dataset's name, nor on
        where it lies.
        """
        digest = hashlib.sha256(repr((self.classes, self.shape)).encode())
        for split in (self.train, self.test):
            # The length first, so that images cannot move from one split to the other unnoticed.
            digest.update(f"{len(split)}:".encode())
            digest.update(split.labels.astype("<i8").data)
            for part in split._content():
                digest.update(part)
        return digest.hexdigest()[:16]


def check_labels(where, labels, classes, images=None):
    """Raise `InputError` unless there are labels, all are 0 to classes-1, one for each image."""
    labels = np.asarray(labels)
    if images is not None and len(labels) != images:
        raise InputError(f"{where}: must have one label for each of {images} images, not"
                         f" {len(labels)}")  # fmt: skip
    if not len(labels):
        raise InputError(f"{where}: must have at least one image, not 0")
    for extreme in (labels.min(), labels.max()):
        if not 0 <= extreme < classes:
            found = one_line(int(extreme))
            raise InputError(f"{where}: labels must be 0 to {classes - 1}, not {found}")
