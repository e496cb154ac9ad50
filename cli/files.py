"""Files that commands read and write. What cannot be read or written is an `InputError`."""

import contextlib
import io
import os
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import check_images
from hiddenite.golden.network import Network

__all__ = [
    "Output",
    "load_array",
    "load_images",
    "make_directory",
    "npy_bytes",
    "output",
    "output_beside",
]

_REASON_LENGTH = 200


def load_images(path: Path, network: Network) -> np.ndarray:
    """Read images for a network.

    Parameters
    ----------
    path : Path
        A .npy file.
    network : Network
        The network.

    Returns
    -------
    uint8 array, (N, H, W, C)
        At least one image.

    Raises
    ------
    InputError
        The file cannot be read, or holds something else.
    """
    images = load_array(path)
    try:
        check_images(network, images)
        if not len(images):
            raise InputError(f"images for network {network.name!r} must be at least one, not 0")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return np.array(images, order="C")


def load_array(path: Path) -> np.ndarray:
    """Open an array in a .npy file, which is read where it is used.

    Parameters
    ----------
    path : Path
        A .npy file.

    Returns
    -------
    ndarray
        Read-only, of any type but Python's objects.

    Raises
    ------
    InputError
        The file cannot be read, or is no such file.
    """
    try:
        # Mapped, so that type and shape are known before anything of that size is allocated.
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:
        # NumPy has the header read by Python's own parser, whose exceptions are of many types, and
        # show all of it.
        reason = textwrap.shorten(str(error), _REASON_LENGTH, placeholder=" ...")
        raise InputError(f"{path}: must be a .npy file of numbers: {reason}") from None


def npy_bytes(array: np.ndarray) -> bytes:
    """Return an array as the content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


class Output:
    """A file that is being written beside the place where it will be.

    Attributes
    ----------
    path : Path
        The file to be.
    temporary : Path
        Where to write it, for a program that wants a path; it ends as `path` does.
    wanted : bool
        Set to False to leave no file after all.
    partial : bool
        Set to True to leave what there is of the file where something goes wrong.
    """

    def __init__(self, path: Path, temporary: Path) -> None:
        self.path = path
        self.temporary = temporary
        self.wanted = True
        self.partial = False

    def write(self, content: bytes) -> None:
        """Write the whole content."""
        try:
            self.temporary.write_bytes(content)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def output(path: Path) -> Iterator[Output]:
    """Give a file to write; it takes its place only when all goes well.

    What can go wrong with the place goes wrong at once, before any long work.

    Parameters
    ----------
    path : Path
        The file to be; an earlier one is replaced.

    Raises
    ------
    InputError
        There can be no file.
    """
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise InputError(f"{path}: must be a file, not a directory")
    if place.exists() and not place.is_file():
        # A terminal or a pipe, which is written to and not replaced.
        yield Output(path, place)
        return
    temporary = place.with_name(f".{os.getpid()}.{place.name}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    made = Output(path, temporary)
    try:
        try:
            yield made
        except BaseException:
            if made.partial and temporary.exists() and temporary.stat().st_size:
                temporary.replace(place)
            raise
        try:
            if made.wanted:
                temporary.replace(place)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def output_beside(path: Path, suffix: str) -> Path:
    """Return the path of a file with something added to its name."""
    return path.with_name(path.name + suffix)


@contextlib.contextmanager
def make_directory(path: Path) -> Iterator[Path]:
    """Make a directory, unless there is one; a new one goes again when something goes wrong.

    Parameters
    ----------
    path : Path
        The directory; the one above it must be there.

    Raises
    ------
    InputError
        There can be no directory.
    """
    try:
        new = not path.exists()
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made a directory: {error.strerror}") from None
    try:
        yield path
    except BaseException:
        if new:
            shutil.rmtree(path, ignore_errors=True)
        raise
