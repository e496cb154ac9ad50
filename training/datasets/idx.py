"""IDX files, the format of MNIST: a magic number, the sizes, then bytes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.bounded import check_size
from hiddenite.training.datasets.messages import reason

_UNSIGNED_BYTE = 8
_PIECE = 2**20


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
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            start = file.read(header)
            if start[:4] != magic:
                raise InputError(
                    f"{path}: must begin with the magic number {magic.hex()}, not"
                    f" {start[:4].hex()!r}"
                )
            if len(start) < header:
                raise InputError(f"{path}: must be at least {header} bytes, not {len(start)}")
            sizes = [int(size) for size in np.frombuffer(start, ">u4", dimensions, 4)]
            count = math.prod(sizes)
            check_size(path, header + count)
            content = _read(file, count)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: must be an undamaged gzip file: {reason(error)}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from None
    if len(content) != count:
        found = "more" if len(content) > count else header + len(content)
        raise InputError(
            f"{path}: must be {header + count} bytes for {' x '.join(map(str, sizes))}, not {found}"
        )
    return np.frombuffer(content, np.uint8).reshape(sizes)


def _read(file, count):
    """Return so many bytes of a file, fewer if it ends before, or one more if it goes on."""
    content = bytearray()
    # In pieces: memory is that of what is there, not of what the header says.
    while part := file.read(min(_PIECE, count + 1 - len(content))):
        content += part
    return content
