"""IDX files, the format of MNIST: a magic number, the sizes, then bytes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.messages import reason

_UNSIGNED_BYTE = 8


def find(folder: Path, name: str) -> Path | None:
    """Return the IDX file `name` in a folder, as it is or with gzip, or None."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def read(path: Path, dimensions: int):
    """Return the content of an IDX file of unsigned bytes.

    Parameters
    ----------
    path : Path
        The file; with gzip if it ends with ".gz".
    dimensions : int
        How many dimensions the array must have.

    Returns
    -------
    uint8 array
        The array.

    Raises
    ------
    InputError
        The file cannot be read, is damaged, or is not such an array.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: must be an undamaged gzip file: {reason(error)}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from None
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if content[:4] != magic:
        raise InputError(
            f"{path}: must begin with the magic number {magic.hex()}, not {content[:4].hex()!r}"
        )
    if len(content) < header:
        raise InputError(f"{path}: must be at least {header} bytes, not {len(content)}")
    sizes = [int(size) for size in np.frombuffer(content, ">u4", dimensions, 4)]
    expected = header + math.prod(sizes)
    if len(content) != expected:
        raise InputError(
            f"{path}: must be {expected} bytes for {' x '.join(map(str, sizes))}, not"
            f" {len(content)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes).copy()
