"""Files of datasets, read whole: only as many bytes as a dataset has."""

from pathlib import Path

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.messages import reason

LARGEST = 2**30
"""Bytes of a file that is read into memory, compressed or not, at most."""


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises
    ------
    InputError
        The file cannot be read, or is larger than `LARGEST`.
    """
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            check_size(path, size)
            return file.read(size)
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from None


def check_size(path: Path, size: int):
    """Raise `InputError` if a file is too large to be read into memory."""
    if size > LARGEST:
        raise InputError(f"{path}: must hold at most {LARGEST:,} bytes, not {size:,}")
