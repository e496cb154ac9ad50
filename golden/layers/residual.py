"""A tensor that is added after the scale, as in convs and adds."""

from hiddenite.golden.checks import check_integer, check_string, one_line
from hiddenite.golden.errors import InputError

MAX_RESIDUAL_SCALE = 2**24 - 1
"""The largest factor of a residual; the smallest is 0."""


def check_residual(where, residual, residual_scale):
    """Return the factor of a residual, which must be a name."""
    check_string(where, "residual", residual)
    return check_integer(where, "residual_scale", residual_scale, 0, MAX_RESIDUAL_SCALE)


def check_residual_shape(where, residual, residual_shape, shape):
    """Raise `InputError` unless a residual has the shape of what it is added to."""
    if residual_shape != shape:
        raise InputError(
            f"{where}: residual {one_line(residual)} must have the output's shape {shape},"
            f" not {residual_shape}"
        )
