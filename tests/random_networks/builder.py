"""Random networks: layers of all kinds in a row."""

import numpy as np

from hiddenite.golden.network import AvgPool, MaxPool

from .choices import spans
from .convs import ConvChoices
from .features import VERSION_1
from .joins import JoinChoices

__all__ = ["MAX_AVG_POOL_AREA", "Builder", "random_network", "random_residual_network"]

MAX_AVG_POOL_AREA = 256


def random_network(
    rng, *, features=VERSION_1, max_weights=4000, max_pixels=200, max_layers=6, max_size=12
):
    """Return a random valid network.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every choice.
    features : collection of Feature
        What it may use of version 2 of the network file; the default is nothing.
    max_weights : int
        The most weights, masked or not, that all convs may have together.
    max_pixels : int
        The most pixels of a map, image included.
    max_layers : int
        The most layers.
    max_size : int
        The largest height and width of the image, within `max_pixels`.

    Returns
    -------
    Network
    """
    builder = Builder(rng, features, max_weights, max_pixels, max_size)
    for left in reversed(range(rng.integers(1, max_layers + 1))):
        builder.add_layer(last=left == 0)
    return builder.network(builder.layers)


def random_residual_network(
    rng, *, features=VERSION_1, max_weights=4000, max_pixels=80, max_layers=10
):
    """Return a random chain of convs with most of the residuals and strides that there can be.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every choice.
    features, max_weights, max_pixels, max_layers
        As in `random_network`; there are at least half as many layers.

    Returns
    -------
    Network
    """
    builder = _ResidualBuilder(rng, features, max_weights, max_pixels, max_size=9)
    for left in reversed(range(rng.integers(max_layers // 2, max_layers + 1))):
        builder.add_layer(last=left == 0)
    return builder.network(builder.layers)


class Builder(ConvChoices, JoinChoices):
    """Layers of all kinds."""

    def add_layer(self, last):
        """Add a join or a conv if one fits, else a pool."""
        if self.joins and self.chance(0.4):
            for _ in range(4):
                if self.add_join():
                    return
        if not self.chance(0.35):
            for _ in range(10):
                if self.add_conv(last):
                    return
        for _ in range(10):
            if self.add_pool(self.chance(0.5)):
                return
        self.append(MaxPool(name=self.new_name(), input="image", kernel=self.input.shape[:2]))

    def add_pool(self, average):
        """Try to add a pool; return whether it fits."""
        name = self.choose_input()
        window = self.choose_window(name, pool=True)
        area = window["kernel"][0] * window["kernel"][1]
        if self.output_size(self.shapes[name], window) is None:
            return False
        common = {"name": self.new_name(), "input": name} | window
        if not average:
            self.append(MaxPool(**common))
            return True
        if area > MAX_AVG_POOL_AREA:
            return False
        # 2**shift / area is about the scale of a mean, from 4 to 32,767 in this range.
        low = min(area.bit_length() + 2, 24)
        high = min(area.bit_length() + 13, 24)
        shift = self.choose_shift(low, high)
        gain = self.rng.uniform(0.5, 3) if self.chance(0.3) else 1
        scale = int(np.clip(round(gain * 2**shift / area), 1, 32_767))
        self.append(AvgPool(**common, scale=scale, shift=shift))
        return True


class _ResidualBuilder(Builder):
    """A chain with points, strides and residuals beside it."""

    def add_layer(self, last):
        if last or not self.chance(0.95) or not self.add_conv(last):
            super().add_layer(last)

    def choose_input(self):
        names = list(self.shapes)
        return names[-1] if self.chance(0.75) else names[-min(2, len(names))]

    def choose_window(self, name, pool):
        size = self.shapes[name][:2]
        kernel = int(self.rng.choice([1, 3]))
        stride = int(self.rng.choice([1, 1, 1, 1, 1, 1, 2, 2, 3]))
        window = {"kernel": (kernel, kernel), "stride": (stride, stride)}
        if not pool:
            window = self.dilated(window)
        padding = tuple(span // 2 for span in spans(window))
        return self.with_sides(size, window | {"padding": padding})

    def choose_residual(self, names):
        """Return mostly one of the latest: the input, or what was made before it."""
        if not self.chance(0.9):
            return None
        return names[-min(int(self.rng.choice([1, 2, 2, 2, 2, 3, 3, 4])), len(names))]

    def choose_out_channels(self, size, taps, groups):
        latest = self.shapes[list(self.shapes)[-1]][2]
        if self.chance(0.7) and latest % groups == 0 and latest * taps <= self.weights_left:
            return latest
        return super().choose_out_channels(size, taps, groups)
