"""Checks of single values, shared by layers, networks and their file.

Each takes `where`, the thing that the value belongs to ("layer 'c1'"), and `name`, what the value
is called there, and raises `InputError` with both, the rule and the value.
"""

import reprlib

import numpy as np

from hiddenite.golden.errors import InputError

_LONGEST_INTEGER = 256  # bits
_MOST_NAMES = 20


class _Short(reprlib.Repr):
    """What a file holds may be of any size; a message is one line that a person reads."""

    def __init__(self):
        super().__init__()
        self.maxstring = self.maxother = 100
        self.maxlist = self.maxtuple = self.maxdict = 8

    def repr_int(self, value, level):
        bits = value.bit_length()
        return repr(value) if bits <= _LONGEST_INTEGER else f"an integer of {bits} bits"


_SHORT = _Short()


def one_line(value):
    """Return how messages show a value: its repr, shortened, with any white space as one space."""
    return " ".join(_SHORT.repr(value).split())


def listing(names):
    """Return names in a row, as messages offer them; of many, the first ones."""
    names = [*names]
    shown = ", ".join(f"{name:.{_SHORT.maxstring}}" for name in names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def check_string(where, name, value):
    """Return `value`, which must be a string."""
    if not isinstance(value, str):
        raise InputError(f"{where}: {name} must be a string, not {one_line(value)}")
    return value


def check_integer(where, name, value, low, high=None):
    """Return `value` as int; it must be one, not a bool, from `low` to `high` inclusive."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{where}: {name} must be an integer, not {one_line(value)}")
    if value < low or (high is not None and value > high):
        rule = f"at least {low}" if high is None else f"{low} to {high}"
        raise InputError(f"{where}: {name} must be {rule}, not {one_line(int(value))}")
    return int(value)


def check_choice(where, name, value, choices):
    """Return `value`, which must be one of these strings."""
    if not isinstance(value, str) or value not in choices:
        *most, last = map(repr, choices)
        raise InputError(
            f"{where}: {name} must be {', '.join(most)} or {last}, not {one_line(value)}"
        )
    return value


def check_pair(where, name, value, low, high=None):
    """Return `value` as (height, width), each as `check_integer`; one integer stands for two."""
    pair = (value, value) if isinstance(value, int | np.integer) else value
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(f"{where}: {name} must be one or two integers, not {one_line(value)}")
    return tuple(check_integer(where, name, item, low, high) for item in pair)


def check_sides(where, name, value, low):
    """Return `value` as (top, left, bottom, right), each at least `low`.

    One integer stands for four; two are those along y, above and below, and along x.
    """
    sides = (value, value) if isinstance(value, int | np.integer) else value
    if not isinstance(sides, tuple | list) or len(sides) not in (2, 4):
        raise InputError(
            f"{where}: {name} must be one, two or four integers, not {one_line(value)}"
        )
    sides = tuple(check_integer(where, name, item, low) for item in sides)
    return sides * (4 // len(sides))


def check_array(where, name, value, dtype, shape):
    """Return a read-only array of exactly this type and shape; None fits any size.

    It is a copy, unless nothing can change the array: layers that share one do so in memory.
    """
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    rule = f"{dtype} of shape ({sizes})"
    if not isinstance(value, np.ndarray):
        raise InputError(f"{where}: {name} must be an array, {rule}, not {one_line(value)}")
    fits = len(value.shape) == len(shape) and all(
        size in (actual, None) for actual, size in zip(value.shape, shape, strict=True)
    )
    if value.dtype != dtype or not fits:
        found = f"{value.dtype} of shape ({', '.join(map(str, value.shape))})"
        raise InputError(f"{where}: {name} must be {rule}, not {found}")
    if value.flags.c_contiguous and _is_constant(value):
        return value
    value = np.array(value, order="C")
    value.setflags(write=False)
    return value


def _is_constant(array):
    while isinstance(array, np.ndarray) and not array.flags.writeable:
        array = array.base
    return array is None
