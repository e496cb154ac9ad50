"""Transposes, reshapes and flattenings: which letter an axis of the model's tensor runs through."""

import math

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.importer.values import FLAT, MAPS

_RULE = "must keep the order of a map's places, as a flattening or a transpose does"


def transposed(node, value):
    """Return the axes of a value after a ``Transpose`` node."""
    rank = len(value.axes)
    order = node.integers("perm", tuple(reversed(range(rank))))
    if sorted(order) != list(range(rank)):
        raise InputError(
            f"{node.where}: perm must be an order of {rank} axes, not {one_line(list(order))}"
        )
    axes = tuple(value.axes[number] for number in order)
    if axes[0] != ("N",):
        raise InputError(f"{node.where}: the images must stay the first axis")
    return axes


def reshaped(node, value, target):
    """Return the axes of a value after a ``Reshape`` to a shape of integers.

    0 keeps a size and -1 is what is left, as in ONNX.
    """
    dims = value.dims
    target = [int(size) for size in target]
    if node.integer("allowzero", 0):
        raise InputError(f"{node.where}: allowzero must be 0, not 1")
    for number, size in enumerate(target):
        if size == 0 and number < len(dims):
            target[number] = dims[number]
    total = math.prod(dims)
    known = [size for size in target if size != -1]
    if any(size <= 0 for size in known) or len(target) - len(known) > 1:
        raise InputError(f"{node.where}: shape must be sizes and at most one -1, not {target}")
    product = math.prod(known)
    if len(known) < len(target):
        target[target.index(-1)] = total // product
        product *= total // product
    if product != total:
        raise InputError(f"{node.where}: shape must hold {total} numbers, not be {target}")
    return _axes(node, value, tuple(target))


def flattened(node, value):
    """Return the axes of a value after a ``Flatten`` node."""
    axis = node.integer("axis", 1)
    if axis not in (1, 1 - len(value.axes)):
        raise InputError(f"{node.where}: axis must be 1, not {axis}")
    return (("N",), tuple(letter for axis in value.axes[1:] for letter in axis))


def squeezed(node, value, axes):
    """Return the axes of a value without some of size 1; None stands for all of them."""
    rank, dims = len(value.axes), value.dims
    if axes is None:
        numbers = {number for number in range(1, rank) if dims[number] == 1}
    else:
        numbers = {int(number) % rank for number in axes}
    if 0 in numbers or any(dims[number] != 1 for number in numbers):
        raise InputError(
            f"{node.where}: axes must be of size 1 and not the images', not {one_line(axes)}"
        )
    return _axes(
        node, value, tuple(size for number, size in enumerate(dims) if number not in numbers)
    )


def unsqueezed(node, value, axes):
    """Return the axes of a value with new ones of size 1."""
    rank = len(value.axes) + len(axes)
    numbers = {int(number) % rank for number in axes}
    sizes = iter(value.dims)
    return _axes(
        node, value, tuple(1 if number in numbers else next(sizes) for number in range(rank))
    )


def _axes(node, value, target):
    """Return axes of these sizes that run through the value's places in their order."""
    if target == value.dims:
        return value.axes
    if target[0] != 1:
        raise InputError(f"{node.where}: the images must stay the first axis, not {target}")
    letters = [letter for axis in value.axes for letter in axis]
    sizes = value.sizes
    height, width, channels = value.shape
    # Letters of size 1 may stand anywhere.
    if height == width == 1:
        return _of_channels(node, target, channels)
    if len(target) == 2:
        return (("N",), tuple(letters[1:]))
    moving = [letter for letter in letters if sizes[letter] > 1]
    if len(target) == 4:
        for axes in (MAPS, (("N",), ("H",), ("W",), ("C",))):
            order = [letter for (letter,) in axes if sizes[letter] > 1]
            if order == moving and target == tuple(sizes[letter] for (letter,) in axes):
                return axes
    if len(target) == 3 and height == 1 and moving in (["C", "W"], ["W"]):
        axes = (("N",), ("C",), ("W",))
        if target == (1, channels, width):
            return axes
    raise InputError(f"{node.where}: shape {value.dims} to {target} {_RULE}")


def _of_channels(node, target, channels):
    if len(target) == 2:
        return FLAT
    rest = ["H", "W"]
    if len(target) in (3, 4) and target[1] == channels:
        return (("N",), ("C",), *((letter,) for letter in rest[: len(target) - 2]))
    if len(target) == 4 and target[3] == channels:
        return (("N",), ("H",), ("W",), ("C",))
    raise InputError(f"{node.where}: shape (1, {channels}) to {target} {_RULE}")
