"""The image: its shape, its axes, and what its bytes stand for."""

import math

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.importer import operators
from hiddenite.importer.values import FLAT, LINES, MAPS, Stored, Value

NAME = "image"

MAX_PIXELS = 2**24
"""The most numbers of an image."""

_NHWC = (("N",), ("H",), ("W",), ("C",))


def image_value(graph, image_range):
    """Return the image of a graph as a value.

    Parameters
    ----------
    graph : Graph
        The model.
    image_range : (float, float)
        What the bytes 0 and 255 stand for.

    Raises
    ------
    InputError
        Its shape is open or of no known kind, or the range does not increase.
    """
    low, high = image_range
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"image range must be finite and increase, not {low:g} to {high:g}")
    shape, axes = _image(graph)
    stored = Stored(
        name=NAME,
        type="uint8",
        shape=shape,
        low=np.zeros(shape[2], np.int64),
        high=np.full(shape[2], 255),
        unit=(high - low) / 255,
        zero=_zero(low, high),
    )
    return Value(source=stored, shape=shape, axes=axes)


def _zero(low, high):
    zero = -low * 255 / (high - low)
    near = round(2 * zero) / 2
    return near if abs(zero - near) < 1e-9 * max(1, abs(zero)) else zero


def _image(graph):
    """Return (height, width, channels) and axes of the image."""
    where = f"input {one_line(graph.input)}"
    dims = graph.dims
    if not 2 <= len(dims) <= 4:
        raise InputError(f"{where}: must have 2 to 4 axes, not {len(dims)}")
    if dims[0] not in (None, 0, 1):
        raise InputError(f"{where}: number of images must be 1 or open, not {dims[0]}")
    sizes = [size or 0 for size in dims[1:]]
    if min(sizes) < 1 or max(sizes) > 65_535 or math.prod(sizes) > MAX_PIXELS:
        raise InputError(
            f"{where}: sizes must be given and hold 1 to {MAX_PIXELS:,} numbers, not"
            f" {one_line(list(dims[1:]))}"
        )
    if len(sizes) == 1:
        return (1, 1, sizes[0]), FLAT
    if len(sizes) == 2:
        return (1, sizes[1], sizes[0]), LINES
    if _channels_last(graph):
        return (sizes[0], sizes[1], sizes[2]), _NHWC
    return (sizes[1], sizes[2], sizes[0]), MAPS


def _channels_last(graph):
    """Return whether the first transpose of the image brings channels to the front."""
    names = {graph.input}
    for node in graph.nodes:
        if names.intersection(node.inputs):
            if node.op == "Transpose":
                return node.attributes.get("perm") in ([0, 3, 1, 2], (0, 3, 1, 2))
            if node.op in operators.ELEMENTWISE:
                names.update(node.outputs)
    return False
