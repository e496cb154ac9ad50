"""A network that grows layer by layer, and choices of its windows."""

from hiddenite.golden.layers import Tensors
from hiddenite.golden.network import Input, Network, Upsample

from .features import Feature

__all__ = ["CHANNELS", "Choices", "WindowChoices", "spans"]

CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 20)


class Choices:
    """The network so far.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every choice.
    features : collection of Feature
        What it may use of version 2. Without one, no choice is made for it, so that the networks
        are the same as if there were no such feature.
    max_weights, max_pixels, max_size : int
        As in `random_network`.
    """

    def __init__(self, rng, features, max_weights, max_pixels, max_size):
        self.rng = rng
        self.features = frozenset(features)
        self.weights_left = max_weights
        self.max_pixels = max_pixels
        height = int(rng.integers(1, min(max_size, max_pixels) + 1))
        width = int(rng.integers(1, min(max_size, max_pixels // height) + 1))
        if self.chance(0.05):
            height = width = 1
        self.input = Input(
            name="image",
            height=height,
            width=width,
            channels=int(rng.choice(CHANNELS)),
            type="int8" if self.wants(Feature.INT8, 0.5) else "uint8",
        )
        self.seed = int(rng.choice([0, 1, 2**32 - 1, rng.integers(2**32)]))
        self.tensors = Tensors(self.input)
        self.shapes, self.types = self.tensors.shapes, self.tensors.types
        self.layers = []

    def chance(self, probability):
        return self.rng.random() < probability

    def wants(self, feature, probability):
        """Whether to use a feature here."""
        return feature in self.features and self.chance(probability)

    def network(self, layers):
        return Network(name="random", seed=self.seed, input=self.input, layers=layers)

    def append(self, layer):
        self.tensors.define(layer)
        self.layers.append(layer)

    def new_name(self):
        return f"t{len(self.layers)}"

    def choose_input(self):
        """Return the name of mostly the latest tensor; the others get several readers or none."""
        names = list(self.shapes)
        return names[-1] if self.chance(0.65) else str(self.rng.choice(names))

    def choose_shift(self, low, high):
        """Return a shift, mostly from `low` to `high`, sometimes one of the two extremes."""
        if self.chance(0.12):
            return int(self.rng.choice([1, 24]))
        return int(self.rng.integers(low, high + 1))


class WindowChoices(Choices):
    """Kernels, strides, padding and dilation.

    A window is a dict of a layer's fields. Its padding is (y, x) or (top, left, bottom, right).
    """

    def choose_window(self, name, pool):
        """Return the window of a layer that reads a tensor."""
        shape = self.shapes[name]
        size = shape[:2]
        kind = self.rng.choice(["whole", "common", "point", "any"], p=[0.15, 0.35, 0.15, 0.35])
        if isinstance(self.layer_of(name), Upsample) and self.chance(0.5):
            kind = "strided"
        if kind == "whole":
            stride = size if self.chance(0.5) else (1, 1)
            return {"kernel": size, "stride": stride, "padding": (0, 0)}
        if kind == "common" and pool:  # the pools of most networks, apart and overlapping
            options = [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (1, 1)), ((3, 3), (1, 1), (1, 1))]
            window = zip(
                ("kernel", "stride", "padding"), options[self.rng.integers(3)], strict=True
            )
            return self.with_sides(size, dict(window))
        if kind == "common":
            kernel = tuple(int(self.rng.choice([1, 3, 5], p=[0.3, 0.6, 0.1])) for _ in size)
            window = self.dilated({"kernel": kernel, "stride": (1, 1)})
            padding = tuple(span // 2 for span in spans(window))
            return self.with_sides(size, window | {"padding": padding})
        kernel = (1, 1)
        if kind in ("any", "strided"):
            kernel = tuple(int(self.rng.integers(1, 6)) for _ in size)
        stride = self.choose_stride()
        if kind == "strided":
            stride = tuple(max(step, 2) for step in stride)
        window = {"kernel": kernel, "stride": stride}
        if not pool:
            window = self.dilated(window)
        return self.with_padding(size, window)

    def layer_of(self, name):
        """Return the layer that makes a tensor; None for the image."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def choose_stride(self):
        if self.chance(0.4):
            return (1, 1)
        stride = int(self.rng.integers(1, 5))
        return (stride, stride if self.chance(0.5) else int(self.rng.integers(1, 5)))

    def dilated(self, window):
        """Return a conv's window, mostly with a dilation where there may be one."""
        if not self.wants(Feature.DILATION, 0.4):
            return window
        return window | {"dilation": tuple(int(self.rng.integers(1, 5)) for _ in window["kernel"])}

    def with_padding(self, size, window):
        """Return a window with padding, alike on opposite sides or not."""
        padded = self.chance(0.6)
        padding = tuple(
            max(int(self.rng.integers(span)) if padded else 0, (span - s + 1) // 2)
            for s, span in zip(size, spans(window), strict=True)
        )
        return self.with_sides(size, window | {"padding": padding})

    def with_sides(self, size, window):
        """Return a window whose padding mostly differs from side to side where it may."""
        if not self.wants(Feature.PADDING, 0.4):
            return window
        before, after = [], []
        for s, span in zip(size, spans(window), strict=True):
            before.append(int(self.rng.integers(span)))
            least = max(span - s - before[-1], 0)
            after.append(int(self.rng.integers(least, span)))
        return window | {"padding": (*before, *after)}

    def output_size(self, shape, window):
        """Return the output's (height, width), or None if the window or the output is too big."""
        sides = window["padding"] * (4 // len(window["padding"]))
        size = [
            (s + before + after - span) // stride + 1
            for s, before, after, span, stride in zip(
                shape[:2], sides[:2], sides[2:], spans(window), window["stride"], strict=True
            )
        ]
        return tuple(size) if min(size) >= 1 and size[0] * size[1] <= self.max_pixels else None


def spans(window):
    """Return the height and width of the map from a window's first tap to its last one."""
    dilation = window.get("dilation", (1, 1))
    return tuple((k - 1) * d + 1 for k, d in zip(window["kernel"], dilation, strict=True))
