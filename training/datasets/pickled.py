"""Pickles of arrays, read without running anything that they name.

A pickle is a program that may call whatever it names. Here it can name only what an array is made
of, and even that is not called: stand-ins take its place.
"""

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.bounded import read_bytes
from hiddenite.training.datasets.messages import reason

_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
# After these, there is a value on top of the stack whose hash is that of its parts, or may be.
_HASHED = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET", "POP", "POP_MARK"})
_MOST_TUPLES = 1000  # An array takes a few.
_MOST_DIMENSIONS = 32


class _Type:
    """Stands for numpy.dtype of bytes, the only one that is admitted."""

    def __init__(self, name, *_):
        if name not in ("u1", b"u1", "uint8", b"uint8"):
            raise pickle.UnpicklingError(f"arrays must be uint8, not {one_line(name)}")

    def __setstate__(self, state):
        pass


class _Array:
    """Stands for numpy.ndarray, which is made from its state alone."""

    value = None

    def __setstate__(self, state):
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("arrays must be uint8")
        if not isinstance(shape, tuple) or len(shape) > _MOST_DIMENSIONS:
            raise pickle.UnpicklingError(f"an array's shape must be a tuple, not {one_line(shape)}")
        sizes = all(type(size) is int and 0 <= size <= len(content) for size in shape)
        if not sizes or math.prod(shape) != len(content):
            raise pickle.UnpicklingError(
                f"{len(content)} bytes do not make an array {one_line(shape)}"
            )
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_):
    return _Array()


def _encode(text, encoding):
    # How Python 3 writes bytes into a pickle of protocol 2. Other encodings are other programs.
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding must be 'latin1', not {one_line(encoding)}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
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


def _check_opcodes(content: bytes):
    """Refuse a pickle that could take more time or memory than in proportion to its size.

    A tuple that is put into others more than once, and these again, is a tree of any size to the
    hash of a key; one that is put into another, and so on, is deeper than the stack. No array or
    plain value is written so. And the numbers under which a pickle remembers values must be those
    that they would be counted with: the unpickler makes a table up to the largest.
    """
    remembered: dict[object, bool] = {}
    tuples, hashed = 0, False
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        name = opcode.name
        if name in _PUTS:
            number = len(remembered) if argument is None else argument
            if not 0 <= number <= count:
                raise pickle.UnpicklingError(f"it remembers its value {count} as number {number}")
            remembered[number] = hashed
        elif (name == "DUP" and hashed) or (name in _GETS and remembered.get(argument)):
            raise pickle.UnpicklingError("it holds a tuple twice")
        elif name != "DUP":
            hashed = name in _HASHED
            tuples += hashed
            if tuples > _MOST_TUPLES:
                raise pickle.UnpicklingError(f"it holds more than {_MOST_TUPLES} tuples")


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
    content = read_bytes(path)
    try:
        _check_opcodes(content)
        # Bytes, because the strings of Python 2, and its arrays, have no encoding.
        content = _Unpickler(io.BytesIO(content), encoding="bytes").load()
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
