"""Archives of datasets: tar, plain or compressed, unpacked once into the cache."""

import bz2
import gzip
import hashlib
import lzma
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.cache import datasets_directory, new_entry
from hiddenite.training.datasets.messages import reason

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
"""What the name of an archive ends with."""

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
        The archive is damaged, or holds something else than files and folders inside it.
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
    with open(path, "rb") as packed:
        start = packed.read(6)
        packed.seek(0)
        opener = next((opener for magic, opener in _OPENERS if start.startswith(magic)), None)
        content = opener(packed) if opener else packed
        with tarfile.open(fileobj=content, mode="r|") as tar:
            for count, member in enumerate(tar):
                # Files and folders are all that a dataset needs; without links, and with plain
                # names, nothing can be written elsewhere. (The filters of `tarfile` would do, but
                # the first releases of Python 3.11 have none.)
                name = PurePosixPath(member.name)
                if not (member.isreg() or member.isdir()):
                    raise InputError(
                        f"{path}: must hold nothing but files and folders, unlike {member.name!r}"
                    )
                if name.is_absolute() or ".." in name.parts:
                    raise InputError(f"{path}: names must stay inside it, unlike {member.name!r}")
                target = folder / name
                if member.isreg():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with tar.extractfile(member) as source, open(target, "wb") as sink:
                        shutil.copyfileobj(source, sink)
                if progress is not None and count % 256 == 0:
                    progress(f"unpacking {path.name}", packed.tell(), total)
        # The checksum comes last, behind all that tar reads.
        while content.read(2**20):
            pass
    if progress is not None:
        progress(f"unpacking {path.name}", total, total)
