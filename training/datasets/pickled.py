"""Pickles of arrays, read without running anything that they name.

A pickle is a program that may call whatever it names. Here it can name only what an array is made
of, and even that is not called: stand-ins take its place.
"""

import math
import pickle
from pathlib import Path

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.messages import reason


class _Type:
    """Stands for numpy.dtype of bytes, the only one that is admitted."""

    def __init__(self, name, *_):
        if name not in ("u1", b"u1", "uint8", b"uint8"):
            raise pickle.UnpicklingError(f"arrays must be uint8, not {name!r}")

    def __setstate__(self, state):
        pass


class _Array:
    """Stands for numpy.ndarray, which is made from its state alone."""

    value = None

    def __setstate__(self, state):
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("arrays must be uint8")
        if min(shape, default=0) < 0 or math.prod(shape) != len(content):
            raise pickle.UnpicklingError(f"{len(content)} bytes do not make an array {shape}")
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="CF"[bool(fortran)])


def _reconstruct(*_):
    return _Array()


def _encode(text, encoding):
    # How Python 3 writes bytes into a pickle of protocol 2. Other encodings are other programs.
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding must be 'latin1', not {encoding!r}")
    return text.encode("latin1")


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ADMITTED[module, name]


def read(path: Path):
    """Return the dictionary in a pickle.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to object
        Arrays of uint8 and plain Python values; byte strings remain bytes.

    Raises
    ------
    InputError
        The file cannot be read, or is anything else than a dictionary of such values.
    """
    try:
        with open(path, "rb") as file:
            # Bytes, because the strings of Python 2, and its arrays, have no encoding.
            content = _Unpickler(file, encoding="bytes").load()
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from None
    except Exception as error:  # Damaged pickles fail in any way.
        raise InputError(
            f"{path}: must be a pickle of arrays and plain values alone: {reason(error)}"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a pickle of a dict, not of {type(content).__name__}")
    return {
        key.decode("latin1") if isinstance(key, bytes) else key: (
            value.value if isinstance(value, _Array) else value
        )
        for key, value in content.items()
    }
