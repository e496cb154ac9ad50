"""Where datasets are kept that were downloaded or unpacked."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hiddenite.golden.errors import InputError
from hiddenite.sim.cache import cache_directory
from hiddenite.training.datasets.messages import reason


def datasets_directory() -> Path:
    """Return `datasets` in the folder that HIDDENITE_CACHE names, or in the user's cache folder.

    The whole folder may be deleted at any time.
    """
    return cache_directory() / "datasets"


@contextlib.contextmanager
def new_entry(final: Path) -> Iterator[Path]:
    """Give a path to make a file or folder at, which is moved to `final` if all goes well."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        # Made beside its final place, so that moving it there is all or nothing.
        temporary = tempfile.TemporaryDirectory(dir=final.parent, prefix="unfinished-")
    except OSError as error:
        raise InputError(f"cannot write to {final.parent}: {reason(error)}") from None
    with temporary:
        finished = Path(temporary.name) / "finished"
        yield finished
        try:
            finished.replace(final)
        except OSError:
            # Another process was quicker with the same folder.
            if not final.is_dir():
                raise
