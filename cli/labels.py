"""The option `--labels`: the right classes of images, and how many a network gets right."""

from pathlib import Path

import click
import numpy as np

from hiddenite.cli.files import load_array
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network

__all__ = ["accuracy_facts", "accuracy_words", "classes_of", "labels_option", "load_labels"]

labels_option = click.option(
    "--labels",
    "labels_path",
    type=click.Path(path_type=Path),
    metavar="LABELS.npy",
    help="Classes that are right, N integers, to count how many are.",
)


def classes_of(results: np.ndarray) -> np.ndarray | None:
    """Return the largest channel of each result; None if results have more than one pixel."""
    return results[:, 0, 0].argmax(-1) if results.shape[1:3] == (1, 1) else None


def load_labels(path: Path | None, network: Network, count: int) -> np.ndarray | None:
    """Read the right class of each image.

    Parameters
    ----------
    path : Path or None
        A .npy file.
    network : Network
        What is to find them.
    count : int
        Number of images.

    Returns
    -------
    integer array, (count,), or None
        None without a file.

    Raises
    ------
    InputError
        The file cannot be read, holds something else, or the network's results are no classes.
    """
    if path is None:
        return None
    labels = load_array(path)
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise InputError(
            f"{path}: labels must be {count} integers, not {labels.dtype} of shape {labels.shape}"
        )
    height, width, channels = network.shapes[network.layers[-1].name]
    if (height, width) != (1, 1):
        raise InputError(
            f"{path}: labels are of no use: results of network {network.name!r} have"
            f" {height} x {width} pixels, not one"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= channels))
    if len(wrong):
        raise InputError(
            f"{path}: labels must be classes of network {network.name!r}, 0 to {channels - 1},"
            f" not {labels[wrong[0]]} of image {wrong[0]}"
        )
    return np.array(labels)


def accuracy_facts(results: np.ndarray, labels: np.ndarray | None) -> dict[str, object]:
    """Return for JSON how many classes are right, and the fraction; None without labels."""
    if labels is None:
        return {"right": None, "accuracy": None}
    classes = classes_of(results)
    assert classes is not None, "results of more pixels have no labels"
    right = int((classes == labels).sum())
    return {"right": right, "accuracy": right / len(labels)}


def accuracy_words(results: np.ndarray, labels: np.ndarray) -> str:
    """Return the same in words."""
    facts = accuracy_facts(results, labels)
    return f"{facts['right']:,} of {len(labels):,} classes are right, {facts['accuracy']:.2%}"
