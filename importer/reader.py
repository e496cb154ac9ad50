"""A node's inputs, as its operator asks for them."""

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.importer.values import Value


class Reader:
    """A node's inputs, as its operator asks for them.

    Attributes
    ----------
    node : Node
        The node.
    builder : Builder
        Gets layers.
    opset : int
        Version of the operators.
    """

    def __init__(self, conversion, node):
        self._conversion = conversion
        self.node = node
        self.builder = conversion.builder
        self.opset = conversion.graph.opset

    def has(self, number):
        """Return whether an input is given."""
        return number < len(self.node.inputs) and bool(self.node.inputs[number])

    def is_value(self, number):
        """Return whether an input depends on the image."""
        return self.has(number) and isinstance(self._tensor(number), Value)

    def value(self, number):
        """Return an input that depends on the image."""
        tensor = self._tensor(number)
        if not isinstance(tensor, Value):
            raise InputError(
                f"{self.node.where}: input {number} must depend on the image, not be a constant"
            )
        return tensor

    def constant(self, number):
        """Return an input that is a constant."""
        tensor = self._tensor(number)
        if isinstance(tensor, Value):
            raise InputError(f"{self.node.where}: input {number} must be a constant")
        return tensor

    def integers(self, number):
        """Return an input that is a short list of constant integers."""
        array = self.constant(number)
        if array.dtype.kind not in "iu" or array.ndim > 1 or array.size > 64:
            raise InputError(
                f"{self.node.where}: input {number} must be a list of integers, not"
                f" {array.dtype} of shape {array.shape}"
            )
        return [int(value) for value in array.reshape(-1)]

    def stored(self, number, *, average=False):
        """Return an input as a tensor of the network.

        Layers are added if it is not yet one. With `average`, the average of a whole map may be
        the map itself, whose pixels then all have the same weight.
        """
        self.value(number)
        return self._conversion.stored(self.node, self.node.inputs[number], average)

    def same_shape(self, x, function, *arguments):
        """Return what a function makes of a constant, which must not change its shape."""
        try:
            with np.errstate(all="ignore"):
                made = function(*arguments)
        except ValueError:
            made = None
        if made is None or made.shape != x.shape:
            raise InputError(f"{self.node.where}: constants must fit the shape {x.shape}")
        return made.astype(np.float32)

    def _tensor(self, number):
        if not self.has(number):
            raise InputError(f"{self.node.where}: input {number} must be given")
        return self._conversion.tensors[self.node.inputs[number]]
