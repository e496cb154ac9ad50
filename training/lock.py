"""Keeps two trainings from writing the same files at the same time."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from hiddenite.golden.errors import InputError

if sys.platform == "win32":  # where two trainings are not told apart
    fcntl = None
else:
    import fcntl

_UNKNOWN = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
"""What file systems answer that have no locks; trainings are not told apart there, either."""


@contextlib.contextmanager
def alone(path: Path, remedy: str) -> Iterator[None]:
    """Be the only process that trains into a file or a folder; a second one is refused.

    The operating system takes the lock from a process that ends, however it ends. Its file,
    ``.NAME.lock`` beside a file and ``.lock`` in a folder, is removed when all goes well; one that
    a killed process has left is in nobody's way.

    Parameters
    ----------
    path : Path
        What is written: a file whose folder exists, or a folder that exists.
    remedy : str
        What another process can do.

    Raises
    ------
    InputError
        Another process is at it, or the lock's file cannot be made.
    """
    place = Path(os.path.realpath(path))
    name = place / ".lock" if place.is_dir() else place.with_name(f".{place.name}.lock")
    try:
        descriptor = _locked(name)
    except BlockingIOError:
        raise InputError(f"{path}: another training is writing it: {remedy}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        # Before the lock is given back: then nobody else has it.
        with contextlib.suppress(OSError):
            name.unlink()
        os.close(descriptor)


def _locked(name: Path) -> int:
    """Open a file and lock it; raises `BlockingIOError` if it is locked."""
    while True:
        descriptor = os.open(name, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            if fcntl is not None:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    if error.errno not in _UNKNOWN:
                        raise
            # Whoever had it until now may have removed the file meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(name), os.fstat(descriptor)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
