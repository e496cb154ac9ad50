"""Random valid networks, for comparing hardware with the golden model.

Every feature of the format occurs within some hundred draws, and each conv is scaled by what its
accumulators are on random images, so that its outputs spread over 0 to 255 and a wrong bit shows.
"""

import numpy as np

from hiddenite.golden.inference import infer_layers
from hiddenite.golden.network import AvgPool, Conv, Input, MaxPool, Network

CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 20)
DENSITIES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0)
DENSITY_WEIGHTS = (0.04, 0.1, 0.2, 0.2, 0.2, 0.1, 0.06, 0.1)
MAX_AVG_POOL_AREA = 256
CALIBRATION_IMAGES = 4


def random_network(rng, *, max_weights=4000, max_pixels=200, max_layers=6, max_size=12):
    """Return a random valid network.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every choice.
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
    builder = _Builder(rng, max_weights, max_pixels, max_size)
    for left in reversed(range(rng.integers(1, max_layers + 1))):
        builder.add_layer(last=left == 0)
    return builder.network(builder.layers)


def random_residual_network(rng, *, max_weights=4000, max_pixels=80, max_layers=10):
    """Return a random chain of convs with most of the residuals and strides that there can be.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every choice.
    max_weights, max_pixels, max_layers : int
        As in `random_network`; there are at least half as many layers.

    Returns
    -------
    Network
    """
    builder = _ResidualBuilder(rng, max_weights, max_pixels, max_size=9)
    for left in reversed(range(rng.integers(max_layers // 2, max_layers + 1))):
        builder.add_layer(last=left == 0)
    return builder.network(builder.layers)


def random_images(rng, network, count):
    """Return `count` images for a network: mostly noise, some sparse, two-valued or constant.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every choice.
    network : Network
        The network, whose input is (H, W, C).
    count : int
        Number of images.

    Returns
    -------
    uint8 array, (count, H, W, C)
    """
    return _images(rng, network.input.shape, count)


def _images(rng, shape, count):
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    for image in images[1:]:
        kind = rng.integers(8)
        if kind == 0:
            image[:] = rng.choice([0, 255])
        elif kind == 1:
            image[:] = rng.choice([0, 255], shape)
        elif kind == 2:
            image[rng.random(shape) < 0.8] = 0
    return images


class _Builder:
    """A network that grows layer by layer."""

    def __init__(self, rng, max_weights, max_pixels, max_size):
        self.rng = rng
        self.weights_left = max_weights
        self.max_pixels = max_pixels
        height = int(rng.integers(1, min(max_size, max_pixels) + 1))
        width = int(rng.integers(1, min(max_size, max_pixels // height) + 1))
        if self.chance(0.05):
            height = width = 1
        self.input = Input(
            name="image", height=height, width=width, channels=int(rng.choice(CHANNELS))
        )
        self.seed = int(rng.choice([0, 1, 2**32 - 1, rng.integers(2**32)]))
        self.shapes = {self.input.name: self.input.shape}
        self.layers = []

    def chance(self, probability):
        return self.rng.random() < probability

    def network(self, layers):
        return Network(name="random", seed=self.seed, input=self.input, layers=layers)

    def add_layer(self, last):
        """Add a conv if one fits, else a pool."""
        if not self.chance(0.35):
            for _ in range(10):
                if self.add_conv(last):
                    return
        for _ in range(10):
            if self.add_pool(self.chance(0.5)):
                return
        self.append(MaxPool(name=self.new_name(), input="image", kernel=self.input.shape[:2]))

    def append(self, layer):
        self.shapes[layer.name] = layer.output_shape(self.shapes[layer.input])
        self.layers.append(layer)

    def new_name(self):
        return f"t{len(self.layers)}"

    def choose_input(self):
        """Return the name of mostly the latest tensor; the others get several readers or none."""
        names = list(self.shapes)
        return names[-1] if self.chance(0.65) else str(self.rng.choice(names))

    def choose_window(self, shape, pool):
        """Return (kernel, stride, padding) for a map of shape (H, W, C)."""
        size = shape[:2]
        kind = self.rng.choice(["whole", "common", "point", "any"], p=[0.15, 0.35, 0.15, 0.35])
        if kind == "whole":
            return size, size if self.chance(0.5) else (1, 1), (0, 0)
        if kind == "common" and pool:  # the pools of most networks, apart and overlapping
            options = [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (1, 1)), ((3, 3), (1, 1), (1, 1))]
            return options[self.rng.integers(3)]
        if kind == "common":
            kernel = tuple(int(self.rng.choice([1, 3, 5], p=[0.3, 0.6, 0.1])) for _ in size)
            return kernel, (1, 1), tuple(k // 2 for k in kernel)
        kernel = (1, 1)
        if kind == "any":
            kernel = tuple(int(self.rng.integers(1, 6)) for _ in size)
        return kernel, self.choose_stride(), self.choose_padding(size, kernel)

    def choose_stride(self):
        if self.chance(0.4):
            return (1, 1)
        stride = int(self.rng.integers(1, 5))
        return (stride, stride if self.chance(0.5) else int(self.rng.integers(1, 5)))

    def choose_padding(self, size, kernel):
        padded = self.chance(0.6)
        return tuple(
            max(int(self.rng.integers(k)) if padded else 0, (k - s + 1) // 2)
            for s, k in zip(size, kernel, strict=True)
        )

    def output_size(self, shape, window):
        """Return the output's (height, width), or None if the window or the output is too big."""
        kernel, stride, padding = window
        size = [
            (s + 2 * p - k) // t + 1
            for s, k, t, p in zip(shape[:2], kernel, stride, padding, strict=True)
        ]
        return tuple(size) if min(size) >= 1 and size[0] * size[1] <= self.max_pixels else None

    def add_pool(self, average):
        """Try to add a pool; return whether it fits."""
        name = self.choose_input()
        window = self.choose_window(self.shapes[name], pool=True)
        area = window[0][0] * window[0][1]
        if self.output_size(self.shapes[name], window) is None:
            return False
        kernel, stride, padding = window
        common = {"name": self.new_name(), "input": name}
        common |= {"kernel": kernel, "stride": stride, "padding": padding}
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

    def choose_shift(self, low, high):
        """Return a shift, mostly from `low` to `high`, sometimes one of the two extremes."""
        if self.chance(0.12):
            return int(self.rng.choice([1, 24]))
        return int(self.rng.integers(low, high + 1))

    def add_conv(self, last):
        """Try to add a conv; return whether it fits."""
        name = self.choose_input()
        shape = self.shapes[name]
        alike = [c for c in self.layers if isinstance(c, Conv) and c.mask.shape[3] == shape[2]]
        shared = alike[self.rng.integers(len(alike))] if alike and self.chance(0.4) else None
        window = self.choose_window(shape, pool=False)
        if shared is not None:
            kernel = shared.kernel
            window = kernel, self.choose_stride(), self.choose_padding(shape[:2], kernel)
        size = self.output_size(shape, window)
        if size is None:
            return False
        kernel, stride, padding = window
        if shared is not None:
            index, mask = shared.index, shared.mask
        else:
            out_channels = self.choose_out_channels(size, kernel[0] * kernel[1] * shape[2])
            if out_channels < 1:
                return False
            index = self.choose_index()
            mask = self.choose_mask((out_channels, *kernel, shape[2]))
        if mask.size > self.weights_left:
            return False
        self.weights_left -= mask.size
        output_shape = (*size, mask.shape[0])
        residuals = [n for n, other in self.shapes.items() if other == output_shape]
        conv = {
            "name": self.new_name(),
            "input": name,
            "index": index,
            "out_channels": mask.shape[0],
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "mask": mask,
        }
        residual = self.choose_residual(residuals) if residuals else None
        output = "int32" if last and self.chance(0.4) else "uint8"
        self.append(Conv(**conv, **self.choose_arithmetic(conv, residual), output=output))
        return True

    def choose_residual(self, names):
        return str(self.rng.choice(names)) if self.chance(0.7) else None

    def choose_out_channels(self, size, taps):
        """Return O, often that of a tensor that could then be the residual, within the budget."""
        same_map = [shape[2] for shape in self.shapes.values() if shape[:2] == size]
        options = same_map if same_map and self.chance(0.6) else CHANNELS
        return min(int(self.rng.choice(options)), self.weights_left // taps)

    def choose_index(self):
        used = [layer.index for layer in self.layers if isinstance(layer, Conv)]
        if used and self.chance(0.1):
            return used[0]
        return int(self.rng.choice([len(self.layers), 65_535, self.rng.integers(65_536)]))

    def choose_mask(self, shape):
        density = self.rng.choice(DENSITIES, p=DENSITY_WEIGHTS)
        mask = self.rng.random(shape) < density
        if self.chance(0.2):
            mask[self.rng.integers(shape[0])] = False
        return mask

    def accumulators(self, conv, residual):
        """Return a conv's accumulators and its residual on random images, each (pixels, O)."""
        out_channels = conv["out_channels"]
        probe = Conv(  # (2 * acc + 1) >> 1 is acc
            **conv,
            scale=np.full(out_channels, 2, np.int16),
            bias=np.zeros(out_channels, np.int32),
            shift=1,
            output="int32",
        )
        images = _images(self.rng, self.input.shape, CALIBRATION_IMAGES)
        tensors = infer_layers(self.network([*self.layers, probe]), images)
        acc = tensors[probe.name].reshape(-1, out_channels).astype(float)
        if residual is None:
            return acc, np.zeros_like(acc)
        return acc, tensors[residual].reshape(-1, out_channels).astype(float)

    def choose_arithmetic(self, conv, residual):
        """Return scale, bias, shift and residual for outputs that spread over 0 to 255."""
        rng = self.rng
        out_channels = conv["out_channels"]
        acc, added = self.accumulators(conv, residual)
        deviation = np.maximum(acc.std(axis=0), 1)
        wanted = rng.uniform(20, 100, out_channels)  # deviation of the outputs
        ratio = np.log2(np.median(deviation / wanted))
        low, high = np.clip([np.ceil(ratio + 4), np.floor(ratio + 14)], 1, 24).astype(int)
        shift = self.choose_shift(low, high)
        scale = np.clip(np.round(wanted * 2.0**shift / deviation), 1, 32_767)
        scale[rng.random(out_channels) < 0.3] *= -1
        values = {"shift": shift}
        residual_scale = 0
        if residual is not None:
            residual_scale = min(int(rng.uniform(0.1, 1) * 2**shift), 2**24 - 1)
            if self.chance(0.1):
                residual_scale = int(rng.choice([0, 2**24 - 1]))
            values |= {"residual": residual, "residual_scale": residual_scale}
        middle = rng.normal(128, 30, out_channels) * 2**shift - added.mean(axis=0) * residual_scale
        bias = middle / scale - acc.mean(axis=0)
        if self.chance(0.15):
            bias = rng.integers(-200, 200, out_channels)
        channel = rng.integers(out_channels)
        if self.chance(0.08):
            bias[channel] = rng.choice([-(2**31), 2**31 - 1])
        if self.chance(0.12):
            scale[channel] = rng.choice([0, -32_768, 32_767])
        bias = np.clip(np.round(bias), -(2**31), 2**31 - 1)
        return values | {"scale": scale.astype(np.int16), "bias": bias.astype(np.int32)}


class _ResidualBuilder(_Builder):
    """A chain with points, strides and residuals beside it."""

    def add_layer(self, last):
        if last or not self.chance(0.95) or not self.add_conv(last):
            super().add_layer(last)

    def choose_input(self):
        names = list(self.shapes)
        return names[-1] if self.chance(0.75) else names[-min(2, len(names))]

    def choose_window(self, shape, pool):
        kernel = int(self.rng.choice([1, 3]))
        stride = int(self.rng.choice([1, 1, 1, 1, 1, 1, 2, 2, 3]))
        return (kernel, kernel), (stride, stride), (kernel // 2, kernel // 2)

    def choose_residual(self, names):
        """Return mostly one of the latest: the input, or what was made before it."""
        if not self.chance(0.9):
            return None
        return names[-min(int(self.rng.choice([1, 2, 2, 2, 2, 3, 3, 4])), len(names))]

    def choose_out_channels(self, size, taps):
        latest = self.shapes[list(self.shapes)[-1]][2]
        if self.chance(0.7) and latest * taps <= self.weights_left:
            return latest
        return super().choose_out_channels(size, taps)
