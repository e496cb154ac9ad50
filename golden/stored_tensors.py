"""The tensors of a network file, as its layers ask for them."""

import math

import numpy as np

from hiddenite.golden.checks import check_string, one_line
from hiddenite.golden.errors import InputError

_STORED_TYPES = {"U8": "uint8", "I16": "int16", "I32": "int32"}


class StoredTensors:
    """The tensors of a file; those that layers share are read once and shared in memory.

    Parameters
    ----------
    file : safetensors.safe_open
        The file.
    """

    def __init__(self, file):
        self._file = file
        self._names = set(file.keys())
        self._rows = {}
        self._bits = {}

    def row(self, where, key, name, stored_type, length):
        """Return the tensor that a layer names, which must be a row of this type and length."""
        self._check(where, key, name, stored_type, length)
        if name not in self._rows:
            self._rows[name] = _constant(self._file.get_tensor(name).copy())
        return self._rows[name]

    def bits(self, where, key, name, shape):
        """Return a mask or signs as a read-only bool array of this shape, (O, KH, KW, I)."""
        count = math.prod(shape)
        self._check(where, key, name, "U8", -(-count // 8))
        if (name, count) not in self._bits:
            packed = self._file.get_tensor(name)
            if count % 8 and packed[-1] >> count % 8:
                raise InputError(
                    f"{where}: {key} tensor {one_line(name)} must end with {-count % 8} zero bits,"
                    f" not with the byte 0x{packed[-1]:02x}"
                )
            bits = _constant(np.unpackbits(packed, count=count, bitorder="little"))
            self._bits[name, count] = bits.view(bool)
        return self._bits[name, count].reshape(shape)

    def _check(self, where, key, name, stored_type, length):
        if check_string(where, key, name) not in self._names:
            raise InputError(f"{where}: {key} tensor {one_line(name)} is missing")
        stored = self._file.get_slice(name)
        if (stored.get_dtype(), stored.get_shape()) != (stored_type, [length]):
            found = _STORED_TYPES.get(stored.get_dtype(), stored.get_dtype())
            raise InputError(
                f"{where}: {key} tensor {one_line(name)} must be {_STORED_TYPES[stored_type]} of"
                f" shape [{length}], not {found} of shape {one_line(stored.get_shape())}"
            )


def _constant(array):
    array.setflags(write=False)
    return array
