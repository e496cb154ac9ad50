"""Results of long runs, kept in the user's cache folder under what they follow from."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cache_directory", "entry", "new_entry"]


def cache_directory() -> Path:
    """Return the folder of all results: HIDDENITE_CACHE, or `hiddenite` in the user's cache folder.

    Nothing in it is removed by this program; the whole folder may be deleted at any time.
    """
    if own := os.environ.get("HIDDENITE_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hiddenite"


def entry(kind: str, *key: object) -> Path:
    """Return the folder for a result; it is there only if the result is complete.

    Parameters
    ----------
    kind : str
        First part of its name.
    *key
        All that the result follows from, as values that JSON has.
    """
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return cache_directory() / f"{kind}-{name}"


@contextlib.contextmanager
def new_entry(final: Path) -> Iterator[tuple[Path, Path]]:
    """Give a folder to work in and one that becomes `final` if all goes well."""
    final.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its final place, so that the renaming at the end cannot leave half of it there.
    with tempfile.TemporaryDirectory(dir=final.parent, prefix="building-") as temporary:
        finished = Path(temporary) / "finished"
        finished.mkdir()
        yield Path(temporary), finished
        try:
            finished.rename(final)
        except OSError:
            # Another process was quicker with the same contents.
            if not final.is_dir():
                raise
