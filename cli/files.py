"""Files that commands read and write. What cannot be read or written is an `InputError`."""

import contextlib
import errno
import io
import os
import secrets
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import check_images
from hiddenite.golden.network import Network

__all__ = [
    "Output",
    "folders_of",
    "load_array",
    "load_images",
    "make_directory",
    "make_folders",
    "npy_bytes",
    "output",
    "output_beside",
]


_REASON_LENGTH = 200


def load_array(path: Path) -> np.ndarray:
    """Open a .npy file.

    Returns
    -------
    array
        Mapped, so that type and shape are known before anything of that size is allocated.

    Raises
    ------
    InputError
        The file cannot be read, or is no array of numbers.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:
        # NumPy has the header read by Python's own parser, whose exceptions are of many types, and
        # show all of it.
        reason = textwrap.shorten(str(error), _REASON_LENGTH, placeholder=" ...")
        raise InputError(f"{path}: must be a .npy file of numbers: {reason}") from None


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
    uint8 or int8 array, (N, H, W, C)
        At least one image, of the type of the network's input.

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


_being_written: set[Path] = set()


@contextlib.contextmanager
def output(path: Path) -> Iterator[Output]:
    """Give a file to write; it takes its place only when all goes well.

    What can go wrong with the place goes wrong at once, before any long work. Folders that are
    missing are made.

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
    # Its own name each time: a process that was killed may have had the same number.
    temporary = place.with_name(f".{secrets.token_hex(4)}.{place.name}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(folders_of(path))
        try:
            if place.is_dir():
                raise InputError(f"{path}: must be a file, not a directory")
            if place in _being_written:
                raise InputError(f"{path}: cannot be written: another output is to be this file")
            if place.exists() and not place.is_file():
                # A terminal or a pipe, which is written to and not replaced.
                temporary = place
            else:
                _being_written.add(place)
                stack.callback(_being_written.discard, place)
                temporary.touch(exist_ok=False)
                stack.callback(temporary.unlink, missing_ok=True)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
        made = Output(path, temporary)
        try:
            yield made
        except BaseException:
            if made.partial and temporary.exists() and temporary.stat().st_size:
                temporary.replace(place)
            raise
        try:
            if made.wanted and temporary != place:
                temporary.replace(place)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def folders_of(path: Path) -> Iterator[None]:
    """Make the folders of a file to be; new ones in which nothing is at the end go again.

    Raises
    ------
    InputError
        They cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_folders(Path(os.path.realpath(path)).parent))
        except OSError as error:
            # What exists is a file in the place of a folder.
            reason = os.strerror(errno.ENOTDIR) if error.errno == errno.EEXIST else error.strerror
            raise InputError(f"{path}: cannot be written: {reason}") from None
        yield


def output_beside(path: Path, suffix: str) -> Path:
    """Return the path of a file with something added to its name."""
    return path.with_name(path.name + suffix)


@contextlib.contextmanager
def make_directory(path: Path) -> Iterator[Path]:
    """Make a directory, unless there is one; a new one goes again when something goes wrong.

    Parameters
    ----------
    path : Path
        The directory; those above it are made, too.

    Raises
    ------
    InputError
        There can be no directory, or nothing can be written into it.
    """
    with make_folders(path) as new:
        try:
            yield path
        except BaseException:
            if new:
                shutil.rmtree(path, ignore_errors=True)
            raise


@contextlib.contextmanager
def make_folders(path: Path) -> Iterator[bool]:
    """Make a directory and those above it, and give whether it is new.

    New ones in which nothing is at the end go again; what has been written stays, even when
    something goes wrong.

    Parameters
    ----------
    path : Path
        The directory.

    Raises
    ------
    InputError
        There can be no directory, or nothing can be written into it.
    """
    with contextlib.ExitStack() as stack:
        try:
            new = stack.enter_context(_folders(path))
        except OSError as error:
            raise InputError(f"{path}: cannot be made a directory: {error.strerror}") from None
        try:
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise InputError(f"{path}: cannot be written into: {error.strerror}") from None
        yield new


@contextlib.contextmanager
def _folders(path: Path) -> Iterator[bool]:
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield bool(new)
    finally:
        for folder in new:
            with contextlib.suppress(OSError):
                folder.rmdir()
