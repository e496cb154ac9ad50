"""Collects the layers of a network, each checked as it is added."""

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import LAYER_CLASSES, Tensors
from hiddenite.golden.network import Concat, Conv, MaxPool, Network, Upsample

_MAX_NAME = 80


class Builder:
    """A network in the making.

    Parameters
    ----------
    image : Input
        What it begins with.
    """

    def __init__(self, image):
        self.image = image
        self.layers = []
        self._tensors = Tensors(image)
        self._convs = 0

    @property
    def last(self):
        """Name of the last layer, or None."""
        return self.layers[-1].name if self.layers else None

    def shape(self, name):
        """Return (height, width, channels) of a tensor."""
        return self._tensors.shapes[name]

    def type(self, name):
        """Return the type of a tensor."""
        return self._tensors.types[name]

    def conv(self, where, name, input_name, weights, **fields):
        """Add a conv of weights -1, 0 and 1, (O, KH, KW, I), and return its name."""
        out_channels, height, width, _ = weights.shape
        return self._add(
            where,
            Conv,
            name,
            input=input_name,
            index=self._next_index(),
            out_channels=out_channels,
            kernel=(height, width),
            mask=weights != 0,
            sign=weights < 0,
            **fields,
        )

    def max_pool(self, where, name, input_name, **fields):
        """Add a maximum pool and return its name."""
        return self._add(where, MaxPool, name, input=input_name, **fields)

    def upsample(self, where, name, input_name, **fields):
        """Add an upsampling and return its name."""
        return self._add(where, Upsample, name, input=input_name, **fields)

    def concat(self, where, name, input_names):
        """Add a concatenation and return its name; of one tensor it is that tensor."""
        if len(input_names) == 1:
            return input_names[0]
        return self._add(where, Concat, name, inputs=tuple(input_names))

    def network(self, name, classes):
        """Return the network.

        Parameters
        ----------
        name : str
            Its name.
        classes : sequence of str, optional
            Names of the result's channels.
        """
        return Network(
            name=name, seed=0, input=self.image, layers=tuple(self.layers), classes=classes
        )

    def _next_index(self):
        # Learned signs do not depend on it; that of two layers differs all the same.
        self._convs += 1
        return self._convs - 1

    def _add(self, where, layer_class, name, **fields):
        assert layer_class in LAYER_CLASSES.values()
        name = self._free_name(name)
        try:
            layer = layer_class(name=name, **fields)
            self._tensors.define(layer)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        self.layers.append(layer)
        return name

    def _free_name(self, name):
        name = name[:_MAX_NAME] or "layer"
        if name not in self._tensors.shapes:
            return name
        number = 2
        while f"{name}.{number}" in self._tensors.shapes:
            number += 1
        return f"{name}.{number}"


def identity_weights(channels, outputs=1):
    """Return weights of a depthwise 1x1 conv that sees each channel `outputs` times."""
    return np.ones((channels * outputs, 1, 1, 1), np.int8)
