"""Datasets by name."""

import os
from pathlib import Path

from hiddenite.golden.checks import check_integer, check_pair
from hiddenite.golden.errors import InputError
from hiddenite.training.datasets import archive, cifar, fashion_mnist, image_folder
from hiddenite.training.datasets.dataset import Dataset
from hiddenite.training.datasets.digits import load_digits
from hiddenite.training.datasets.fashion_mnist import load_fashion_mnist

NAMES = ("digits", fashion_mnist.NAME, *cifar.VARIANTS)
"""Datasets that are known; others are folders of images."""

_MAX_SEED = 2**32 - 1


def load(name, folder=None, *, download=False, size=None, seed=0, progress=None) -> Dataset:
    """Return a dataset.

    Parameters
    ----------
    name : str or path-like
        One of `NAMES`, or a folder of images or an archive of one (see `load_image_folder`), or any
        name if `folder` is such a folder.
    folder : path-like, optional
        Where the dataset is, a folder or an archive; datasets that are known have a default.
    download : bool
        Fetch a known dataset that is not there.
    size : int or tuple of int, optional
        (H, W) to resize images in folders to.
    seed : int
        Decides which of the digits are for testing; the others come split.
    progress : callable, optional
        Called as ``progress(what, done, total)`` while something takes long: what is done, such as
        "decoding images", how much of it, and of how much, or None.

    Returns
    -------
    Dataset
        The dataset.

    Raises
    ------
    InputError
        It is not known, not there, or damaged.
    """
    name = os.fspath(name)
    if size is not None:
        size = check_pair("images", "size", size, 1)
    if name == "digits":
        if folder is not None:
            raise InputError(f"dataset 'digits' comes with scikit-learn, not in a folder: {folder}")
        dataset = load_digits(seed=check_integer("digits", "seed", seed, 0, _MAX_SEED))
    elif name == fashion_mnist.NAME:
        dataset = load_fashion_mnist(folder, download=download, progress=progress)
    elif name in cifar.VARIANTS:
        return cifar.load_cifar(name, folder, download=download, size=size, progress=progress)
    else:
        return _load_own(name, folder, size, progress)
    cifar.check_size(name, dataset.shape[:2], size)
    return dataset


def _load_own(name, folder, size, progress):
    path = Path(name if folder is None else folder).expanduser()
    if not path.is_dir() and not archive.is_archive(path):
        if folder is not None:
            found = "not another file" if path.exists() else "but there is nothing"
            raise InputError(f"{path}: must be a folder or a tar archive of images, {found}")
        raise InputError(
            f"dataset must be {', '.join(NAMES)}, or a folder or a tar archive of images, not"
            f" {name!r}"
        )
    if folder is None:
        name = archive.stem(path.resolve())
    if path.is_file():
        packed = path
        root = image_folder.find_root(archive.unpacked(packed, progress))
        if root is None:
            raise InputError(f"{packed}: must hold a folder train with one folder for each class")
        path = root
    return image_folder.load_image_folder(path, name=name, size=size, progress=progress)
