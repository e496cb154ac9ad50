"""Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): 70,000 grey images of clothes, 28x28 pixels."""

import gzip
from pathlib import Path

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets import idx
from hiddenite.training.datasets.cache import datasets_directory
from hiddenite.training.datasets.dataset import ArraySplit, Dataset, check_labels
from hiddenite.training.datasets.download import download as download_file

NAME = "fashion-mnist"

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
"""Where the authors offer the files."""

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

# SHA-256 of what is inside the gzip files: Debian compresses the same bytes anew.
FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""Names of the files and SHA-256 of their uncompressed content."""


def load_fashion_mnist(folder=None, *, download=False, progress=None):
    """Return Fashion-MNIST.

    Parameters
    ----------
    folder : path-like, optional
        The folder of its IDX files, with gzip or without; the default is Debian's if it is there,
        otherwise one in the cache.
    download : bool
        Fetch the files that are not in the folder.
    progress : callable, optional
        Called as ``progress(what, done, total)`` while files are fetched.

    Returns
    -------
    Dataset
        Images of shape (28, 28, 1).

    Raises
    ------
    InputError
        A file is missing, damaged or does not fit the others.
    """
    if folder is not None:
        folder = Path(folder).expanduser()
    else:
        folder = datasets_directory() / NAME if _missing(DEBIAN) else DEBIAN
    missing = _missing(folder)
    if missing and not download:
        found = f"{missing[0]}.gz is missing" if folder.is_dir() else "there is no such folder"
        raise InputError(
            f"{folder}: must hold the IDX files of Fashion-MNIST, but {found}; get them with"
            " `apt install dataset-fashion-mnist` or --download"
        )
    for name in missing:
        url = f"{URL}/{name}.gz"
        target = folder / f"{name}.gz"
        download_file(url, target, "sha256", FILES[name], opener=gzip.open, progress=progress)
    train, test = _split(folder, "train"), _split(folder, "t10k")
    return Dataset(name=NAME, train=train, test=test, classes=CLASSES)


def _missing(folder):
    return [name for name in FILES if idx.find(folder, name) is None]


def _found(folder, name) -> Path:
    path = idx.find(folder, name)
    assert path is not None, "a missing file has been fetched, or refused"
    return path


def _split(folder, part):
    images = idx.read(_found(folder, f"{part}-images-idx3-ubyte"), 3)
    path = _found(folder, f"{part}-labels-idx1-ubyte")
    labels = idx.read(path, 1)
    check_labels(path, labels, len(CLASSES), len(images))
    return ArraySplit(images[..., None], labels)
