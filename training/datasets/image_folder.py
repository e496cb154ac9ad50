"""Folders of images: train/CLASS/IMAGE and test/CLASS/IMAGE."""

import math
from pathlib import Path

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.dataset import ArraySplit, Dataset, Split
from hiddenite.training.datasets.image_file import SUFFIXES, FileSplit, in_threads, probe
from hiddenite.training.datasets.messages import reason

IN_MEMORY = 2**30
"""Bytes that all images of a dataset may take in memory; more remain in files."""

_TEST_FOLDERS = ("test", "val")


def find_root(folder: Path) -> Path | None:
    """Return the folder with train/ in it: `folder` or the only one inside it, or None."""
    if not folder.is_dir():
        return None
    inside = [path for path in folder.iterdir() if path.is_dir()]
    for place in [folder, *inside] if len(inside) == 1 else [folder]:
        if (place / "train").is_dir():
            return place
    return None


def load_image_folder(folder, *, name, size=None, progress=None):
    """Return a dataset of image files.

    The folder has train/CLASS/IMAGE and test/CLASS/IMAGE, or val/ in the place of test/, with the
    same classes in both. Images are grey if all of them are, otherwise RGB. They are kept in
    memory if they take less than `IN_MEMORY` there; otherwise each is decoded whenever it is asked
    for.

    Parameters
    ----------
    folder : path-like
        The folder.
    name : str
        Name of the dataset.
    size : tuple of int, optional
        (H, W) that images get: they are scaled until they just cover it, and the middle is cut out.
        Without it, all must have the same size.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with numbers of images.

    Returns
    -------
    Dataset
        The images.

    Raises
    ------
    InputError
        A folder is missing or without images, the classes differ, an image cannot be decoded or
        differs in size.
    """
    folder = Path(folder).expanduser()
    parts = {"train": _subfolder(folder, ("train",)), "test": _subfolder(folder, _TEST_FOLDERS)}
    classes = _classes(parts["train"])
    _check_classes(parts["test"], _classes(parts["test"]), classes)
    files = {part: _files(folder, place, classes) for part, place in parts.items()}
    names = [name for part in files.values() for name, _ in part]

    def report(what):
        return None if progress is None else lambda done: progress(what, done, len(names))

    found = _common_size(folder, names, size, report("looking at images"))
    shape = (*found[0], 1 if found[1] else 3)
    in_files = {
        part: FileSplit(
            folder,
            [name for name, _ in listed],
            [label for _, label in listed],
            shape,
            resize=size is not None,
        )
        for part, listed in files.items()
    }
    splits: dict[str, Split] = {**in_files}
    if math.prod(shape) * len(names) < IN_MEMORY:
        decoding, before = report("decoding images"), 0
        for part, split in in_files.items():
            counted = decoding and (lambda done, before=before: decoding(before + done))
            splits[part] = ArraySplit(split.decode_all(counted), split.labels)
            before += len(split)
    return Dataset(name=name, **splits, classes=classes)


def _subfolder(folder, names):
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    found = "not that" if folder.is_dir() else "but there is no such folder"
    raise InputError(
        f"{folder}: must hold a folder {' or '.join(names)} with one folder for each class, {found}"
    )


def _visible(folder):
    # Archives made on some systems have a hidden companion for each file.
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot read {folder}: {reason(error)}") from None


def _classes(folder):
    classes = tuple(path.name for path in _visible(folder) if path.is_dir())
    if not classes:
        raise InputError(f"{folder}: must hold one folder for each class, not none")
    return classes


def _check_classes(folder, found, classes):
    for name in sorted({*found} ^ {*classes}):
        where = "only here" if name in found else "missing"
        raise InputError(f"{folder}: must have the classes of train, but {name!r} is {where}")


def _files(root, folder, classes):
    """Return [(path inside root, label)] of all images of a split."""
    listed = []
    for label, name in enumerate(classes):
        inside = [path for path in _visible(folder / name) if path.name.lower().endswith(SUFFIXES)]
        if not inside:
            raise InputError(
                f"{folder / name}: must hold at least one image ({', '.join(SUFFIXES)}), not none"
            )
        listed += [(path.relative_to(root).as_posix(), label) for path in inside]
    return listed


def _common_size(folder, names, size, report):
    """Return ((H, W), whether all are grey) of all images."""
    common, all_grey = size, True
    found = in_threads(lambda name: probe(folder / name), names, report)
    for name, (actual, grey) in zip(names, found, strict=True):
        all_grey &= grey
        if common is None:
            common = actual
        if size is None and actual != common:
            raise InputError(
                f"image {folder / name}: must be {common[0]}x{common[1]}, like {names[0]}, not"
                f" {actual[0]}x{actual[1]}; give a size to resize images to"
            )
    return tuple(common), all_grey
