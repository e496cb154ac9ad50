"""Archives of datasets: tar, plain or compressed, unpacked once into the cache."""

import bz2
import gzip
import hashlib
import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, cast

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.cache import datasets_directory, new_entry
from hiddenite.training.datasets.messages import reason

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
"""What the name of an archive ends with."""

RATIO = 50
"""What an archive may unpack to, as a multiple of its size."""

LEAST_LIMIT = 2**28
"""Bytes that any archive may unpack to."""

# What a file or folder takes on a disk beside its content.
_BLOCK = 4096
_PIECE = 2**20
_LARGEST_HEADER = 2**16
_MOST_PARTS = 64

_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OSError)

_OPENERS = ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open))


def is_archive(path: Path) -> bool:
    """Return whether `path` is a file whose name is that of an archive."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def stem(path: Path) -> str:
    """Return the name of an archive without its suffix, or of a folder."""
    ends = [suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)]
    return path.name[: -len(max(ends, key=len))] if ends else path.name


def unpacked(path: Path, progress=None) -> Path:
    """Return the folder with the content of an archive, which is unpacked if it is new.

    Parameters
    ----------
    path : Path
        The archive; the same path with another size or time of change is another archive.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with the bytes of the archive that are read.

    Returns
    -------
    Path
        A folder in the cache.

    Raises
    ------
    InputError
        The archive is damaged, holds something else than files and folders inside it, or more than
        `RATIO` times its size and `LEAST_LIMIT`.
    """
    state = path.stat()
    key = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    final = datasets_directory() / f"{stem(path)}-{digest}"
    if not final.is_dir():
        with new_entry(final) as folder:
            folder.mkdir()
            try:
                _unpack(path, folder, progress)
            except _DAMAGE as error:
                if getattr(error, "errno", None) is not None:
                    raise InputError(f"cannot unpack {path}: {reason(error)}") from None
                raise InputError(f"{path}: must be an undamaged archive: {reason(error)}") from None
    return final


def _unpack(path, folder, progress):
    total = path.stat().st_size
    budget = _Budget(path, total)
    with open(path, "rb") as packed:
        start = packed.read(6)
        packed.seek(0)
        opener = next((opener for magic, opener in _OPENERS if start.startswith(magic)), None)
        content = _Counted(path, opener(packed) if opener else packed, budget)
        # Of a stream that it only reads, tarfile needs nothing but `read`.
        with tarfile.open(fileobj=cast("IO[bytes]", content), mode="r|") as tar:
            for count, member in enumerate(_members(tar, content)):
                target = folder / _checked_name(path, member)
                if member.isreg():
                    budget.make_folders(target.parent)
                    source = tar.extractfile(member)
                    assert source is not None, "a regular file has content"
                    with source, open(target, "wb") as sink:
                        budget.make(_BLOCK)
                        while part := source.read(_PIECE):
                            budget.make(len(part))
                            sink.write(part)
                if progress is not None and count % 256 == 0:
                    progress(f"unpacking {path.name}", packed.tell(), total)
        # The checksum comes last, behind all that tar reads.
        while content.read(_PIECE):
            pass
    if progress is not None:
        progress(f"unpacking {path.name}", total, total)


def _members(tar, content):
    """Yield the members of an archive."""
    while True:
        content.begin_header()
        member = tar.next()
        content.end_header()
        if member is None:
            return
        yield member


def _checked_name(path, member):
    # Files and folders are all that a dataset needs; without links, and with plain names, nothing
    # can be written elsewhere. (The filters of `tarfile` would do, but the first releases of Python
    # 3.11 have none.)
    name = PurePosixPath(member.name)
    shown = one_line(member.name)
    if not (member.isreg() or member.isdir()):
        raise InputError(f"{path}: must hold nothing but files and folders, unlike {shown}")
    if name.is_absolute() or ".." in name.parts:
        raise InputError(f"{path}: names must stay inside it, unlike {shown}")
    if len(name.parts) > _MOST_PARTS:
        raise InputError(f"{path}: names must have at most {_MOST_PARTS} parts, unlike {shown}")
    return name


class _Budget:
    """What an archive may unpack to, counted while it does."""

    def __init__(self, path, packed):
        self._path = path
        self._limit = max(LEAST_LIMIT, RATIO * packed)
        self._left = self._limit
        self._folders = set()

    def make(self, size):
        """Count what is written."""
        self._left -= size
        if self._left < 0:
            raise self.excess()

    def make_folders(self, folder):
        """Make a folder and those above it, and count the new ones."""
        if folder in self._folders:
            return
        self.make(sum(_BLOCK for place in (folder, *folder.parents) if not place.exists()))
        folder.mkdir(parents=True, exist_ok=True)
        self._folders.add(folder)

    def excess(self):
        """Return the error for an archive that holds more."""
        return InputError(
            f"{self._path}: must unpack to at most {self._limit:,} bytes ({RATIO} times its size,"
            f" or {LEAST_LIMIT:,}), but holds more; unpack it yourself, and give the folder"
        )

    @property
    def limit(self):
        """Bytes that may be written."""
        return self._limit


class _Counted:
    """An archive's decompressed stream; no more is read of it than may be unpacked."""

    def __init__(self, path, file, budget):
        self._path, self._file, self._budget = path, file, budget
        self._read = 0
        self.begin_header()

    def begin_header(self):
        """From now on, a header is read: tar would take one of any size into memory."""
        self._header_end: int | None = self._read + _LARGEST_HEADER

    def end_header(self):
        """From now on, anything is read."""
        self._header_end = None

    def read(self, size):
        """Return up to so many bytes."""
        part = self._file.read(size)
        self._read += len(part)
        # Tar adds a header to each file, which takes less than its block on the disk.
        if self._read > 2 * self._budget.limit:
            raise self._budget.excess()
        if self._header_end is not None and self._read > self._header_end:
            raise InputError(
                f"{self._path}: must have headers of at most {_LARGEST_HEADER:,} bytes, not larger"
                " ones"
            )
        return part
