"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): 60,000 colour images of 32x32 pixels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets import archive, image_folder, pickled
from hiddenite.training.datasets.bounded import read_bytes
from hiddenite.training.datasets.cache import datasets_directory
from hiddenite.training.datasets.dataset import ArraySplit, Dataset, check_labels
from hiddenite.training.datasets.download import download as download_file

URL = "https://www.cs.toronto.edu/~kriz"
"""Where the author offers the archives."""

SIZE = 32
"""Height and width of an image."""

_PIXELS = 3 * SIZE * SIZE

CLASSES10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

CLASSES100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard",
    "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse",
    "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray",
    "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail",
    "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
    "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


@dataclass(frozen=True)
class _Variant:
    """Where the images of one of the two datasets are.

    In the binary files, a record is `label_bytes` of which the last is the label, then the pixels.
    """

    name: str
    md5: str
    binary: str
    pickles: str
    train: tuple[str, ...]
    test: str
    label_bytes: int
    label_key: str
    classes: tuple[str, ...]


CIFAR10 = _Variant(
    name="cifar-10",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    binary="cifar-10-batches-bin",
    pickles="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    label_bytes=1,
    label_key="labels",
    classes=CLASSES10,
)

CIFAR100 = _Variant(
    name="cifar-100",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    binary="cifar-100-binary",
    pickles="cifar-100-python",
    train=("train",),
    test="test",
    label_bytes=2,
    label_key="fine_labels",
    classes=CLASSES100,
)

VARIANTS = {variant.name: variant for variant in (CIFAR10, CIFAR100)}
"""The datasets of this module."""


def load_cifar(name, folder=None, *, download=False, size=None, progress=None):
    """Return CIFAR-10, or CIFAR-100 with its 100 fine labels.

    Parameters
    ----------
    name : {"cifar-10", "cifar-100"}
        Which of them.
    folder : path-like, optional
        A folder with the author's archive, binary or Python, or with what is in it; or a folder of
        images; or an archive itself. The default is a folder in the cache.
    download : bool
        Fetch the binary archive if the folder has nothing of all this.
    size : tuple of int, optional
        (H, W) for a folder of images, which are resized.
    progress : callable, optional
        Called as ``progress(what, done, total)`` while something takes long.

    Returns
    -------
    Dataset
        Images of shape (32, 32, 3).

    Raises
    ------
    InputError
        Nothing is there, or it is damaged.
    """
    variant = VARIANTS[name]
    folder = datasets_directory() / name if folder is None else Path(folder).expanduser()
    found = _find(variant, folder, progress)
    if found is None and download:
        path = folder / f"{name}-binary.tar.gz"
        download_file(f"{URL}/{path.name}", path, "md5", variant.md5, progress=progress)
        found = _find(variant, folder, progress)
    if found is None:
        seen = "none of them is" if folder.exists() else "no such folder is"
        raise InputError(
            f"{folder}: must hold {name}-binary.tar.gz or {name}-python.tar.gz, {variant.binary},"
            f" {variant.pickles}, or train/CLASS/IMAGE, but {seen} there; get it from {URL} or with"
            " --download"
        )
    kind, folder = found
    if kind == "images":
        return image_folder.load_image_folder(folder, name=name, size=size, progress=progress)
    check_size(name, (SIZE, SIZE), size)
    read = _read_binary if kind == "binary" else _read_pickle
    train = [read(variant, folder, part) for part in variant.train]
    images, labels = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return Dataset(
        name=name,
        train=ArraySplit(images, labels),
        test=ArraySplit(*read(variant, folder, variant.test)),
        classes=variant.classes,
    )


def check_size(name, native, size):
    """Raise `InputError` unless `size` is None or the (H, W) that all images have."""
    if size is not None and tuple(size) != native:
        raise InputError(
            f"size is for folders of images; those of dataset {name!r} are"
            f" {native[0]}x{native[1]}, not {size[0]}x{size[1]}"
        )


def _find(variant, folder, progress):
    if archive.is_archive(folder):
        folder = archive.unpacked(folder, progress)
    for kind, inside in (("binary", variant.binary), ("pickles", variant.pickles)):
        suffix = ".bin" if kind == "binary" else ""
        for place in (folder / inside, folder):
            if (place / f"{variant.test}{suffix}").is_file():
                return kind, place
    for kind in ("binary", "python"):
        path = folder / f"{variant.name}-{kind}.tar.gz"
        if path.is_file():
            found = _find(variant, archive.unpacked(path, progress), progress)
            if found is None:
                raise InputError(f"{path}: must hold the files of {variant.name}, not others")
            return found
    place = image_folder.find_root(folder)
    return None if place is None else ("images", place)


def _read_binary(variant, folder, part):
    path = folder / f"{part}.bin"
    content = read_bytes(path)
    record = variant.label_bytes + _PIXELS
    if len(content) % record:
        raise InputError(f"{path}: must be a multiple of {record} bytes, not {len(content)}")
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    labels = records[:, variant.label_bytes - 1].astype(np.int64)
    return _checked(variant, path, records[:, variant.label_bytes :], labels)


def _read_pickle(variant, folder, part):
    path = folder / part
    content = pickled.read(path)
    pixels, labels = content.get("data"), content.get(variant.label_key)
    if not isinstance(pixels, np.ndarray) or pixels.shape[1:] != (_PIXELS,):
        found = pixels.shape if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise InputError(f"{path}: 'data' must be an array (N, {_PIXELS}), not {found}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise InputError(f"{path}: {variant.label_key!r} must be a list of integers")
    return _checked(variant, path, pixels, labels)


def _checked(variant, path, pixels, labels):
    check_labels(path, labels, len(variant.classes), len(pixels))
    # Planes of red, green and blue.
    return pixels.reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1), np.asarray(labels, np.int64)
