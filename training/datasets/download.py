"""Downloads: to a temporary file, checked, then moved to where they belong."""

import hashlib
import http.client
import urllib.request
import zlib
from pathlib import Path

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.bounded import LARGEST
from hiddenite.training.datasets.cache import new_entry
from hiddenite.training.datasets.messages import reason

TIMEOUT = 60
"""Seconds without a byte after which a download has failed."""

_CHUNK = 2**18


def download(url: str, path: Path, algorithm: str, digest: str, *, opener=open, progress=None):
    """Download a file that is known.

    Parameters
    ----------
    url : str
        Where it is.
    path : Path
        Where it goes; nothing is there unless all went well.
    algorithm, digest : str
        Name of a `hashlib` algorithm, and the hex digest that the content must have.
    opener : callable
        Opens the file for the digest: `open`, or `gzip.open` for that of what is compressed in it.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes; the total is None if not known.

    Raises
    ------
    InputError
        The file cannot be fetched, ends early, or has another digest.
    """
    with new_entry(path) as temporary:
        _fetch(url, temporary, path.name, progress)
        found = hashlib.new(algorithm, usedforsecurity=False)
        try:
            with opener(temporary, "rb") as file:
                while part := file.read(_CHUNK):
                    found.update(part)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{url}: cannot be decompressed: {reason(error)}") from None
        if found.hexdigest() != digest:
            raise InputError(f"{url}: must have {algorithm} {digest}, not {found.hexdigest()}")


def _fetch(url, path, name, progress):
    done = 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, open(path, "wb") as file:
            length = response.headers.get("Content-Length")
            total = int(length) if length is not None else None
            while part := response.read(_CHUNK):
                file.write(part)
                done += len(part)
                if done > LARGEST:
                    raise InputError(f"{url}: must be at most {LARGEST:,} bytes, but goes on")
                if progress is not None:
                    progress(f"downloading {name}", done, total)
    except http.client.IncompleteRead as error:
        done += len(error.partial)
        total = done + (error.expected or 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        # urllib wraps the error of the connection.
        inner = getattr(error, "reason", None)
        said = reason(inner if isinstance(inner, Exception) else error)
        raise InputError(f"cannot download {url}: {said}") from None
    if total is not None and done != total:
        raise InputError(f"{url}: must be {total} bytes, but the download ended after {done}")
