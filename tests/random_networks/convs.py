"""Random convs, scaled by what their accumulators are on random images."""

import numpy as np

from hiddenite.golden.inference import infer_layers
from hiddenite.golden.network import Conv

from .choices import CHANNELS, WindowChoices
from .features import Feature
from .images import images_for

__all__ = ["ConvChoices"]

DENSITIES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0)
DENSITY_WEIGHTS = (0.04, 0.1, 0.2, 0.2, 0.2, 0.1, 0.06, 0.1)
# Of the kept weights, how many are -1 where signs are learned: none and all are the corners.
SIGN_DENSITIES = (0.0, 0.3, 0.5, 1.0)
CALIBRATION_IMAGES = 4


class ConvChoices(WindowChoices):
    """Convs, whose weights may be those of earlier ones."""

    def add_conv(self, last):
        """Try to add a conv; return whether it fits."""
        name = self.choose_input()
        shape = self.shapes[name]
        alike = [c for c in self.layers if isinstance(c, Conv) and self.can_share(c, shape[2])]
        shared = alike[self.rng.integers(len(alike))] if alike and self.chance(0.4) else None
        window = self.choose_window(name, pool=False)
        if shared is not None:
            window = {"kernel": shared.kernel, "stride": self.choose_stride()}
            window = self.with_padding(shape[:2], self.dilated(window))
        size = self.output_size(shape, window)
        if size is None:
            return False
        conv = {"name": self.new_name(), "input": name} | window
        if shared is not None:
            conv |= self.shared_weights(shared, shape[2])
        else:
            weights = self.choose_weights(size, window["kernel"], shape[2])
            if weights is None:
                return False
            conv |= weights
        mask = conv["mask"]
        if mask.size > self.weights_left:
            return False
        self.weights_left -= mask.size
        output_shape = (*size, mask.shape[0])
        conv["out_channels"] = mask.shape[0]
        residuals = [n for n, other in self.shapes.items() if other == output_shape]
        other_type = [n for n in residuals if self.types[n] != self.types[name]]
        if other_type and self.wants(Feature.INT8, 0.8):
            residuals = other_type
        residual = self.choose_residual(residuals) if residuals else None
        output = "int32" if last and self.chance(0.4) else "uint8"
        if output == "uint8" and self.wants(Feature.INT8, 0.5):
            output = "int8"
        values = self.choose_arithmetic(conv, residual, output)
        self.append(Conv(**conv, **values, output=output))
        return True

    def can_share(self, conv, channels):
        """Whether a conv with so many input channels could have the weights of this one."""
        group = conv.mask.shape[3]
        if Feature.GROUPS not in self.features:
            return group == channels
        return channels % group == 0 and conv.out_channels % (channels // group) == 0

    def shared_weights(self, conv, channels):
        values = {"index": conv.index, "mask": conv.mask}
        if Feature.GROUPS in self.features:
            values["groups"] = channels // conv.mask.shape[3]
        if Feature.SIGN in self.features and conv.sign is not None and self.chance(0.7):
            values["sign"] = conv.sign
        return values

    def choose_weights(self, size, kernel, channels):
        """Return index, mask, groups and signs of new weights, or None if there is no room."""
        groups = self.choose_groups(channels)
        taps = kernel[0] * kernel[1] * channels // groups
        out_channels = self.choose_out_channels(size, taps, groups)
        if out_channels < 1:
            return None
        values = {"index": self.choose_index()}
        values["mask"] = self.choose_mask((out_channels, *kernel, channels // groups))
        if groups > 1:
            values["groups"] = groups
        if self.wants(Feature.SIGN, 0.5):
            density = self.rng.choice(SIGN_DENSITIES)
            values["sign"] = values["mask"] & (self.rng.random(values["mask"].shape) < density)
        return values

    def choose_groups(self, channels):
        """Return a divisor of the channels: often all of them, for a depthwise conv."""
        if not self.wants(Feature.GROUPS, 0.5):
            return 1
        if self.chance(0.5):
            return channels
        return int(self.rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))

    def choose_residual(self, names):
        return str(self.rng.choice(names)) if self.chance(0.7) else None

    def choose_out_channels(self, size, taps, groups):
        """Return O, often that of a tensor that could then be the residual, within the budget."""
        most = self.weights_left // taps
        same_map = [shape[2] for shape in self.shapes.values() if shape[:2] == size]
        if groups > 1:
            # One, two or three channels of each group, or some number.
            counts = [1, 1, 1, 2, 3, self.rng.integers(1, 7)]
            same_map = [channels // groups for channels in same_map if channels % groups == 0]
            options = same_map if same_map and self.chance(0.5) else counts
            return min(int(self.rng.choice(options)), most // groups) * groups
        options = same_map if same_map and self.chance(0.6) else CHANNELS
        return min(int(self.rng.choice(options)), most)

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
        images = images_for(self.rng, self.input, CALIBRATION_IMAGES)
        tensors = infer_layers(self.network([*self.layers, probe]), images)
        acc = tensors[probe.name].reshape(-1, out_channels).astype(float)
        if residual is None:
            return acc, np.zeros_like(acc)
        return acc, tensors[residual].reshape(-1, out_channels).astype(float)

    def choose_arithmetic(self, conv, residual, output):
        """Return scale, bias, shift and residual for outputs that spread over the type's range."""
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
        middle = rng.normal(0 if output == "int8" else 128, 30, out_channels) * 2**shift
        bias = (middle - added.mean(axis=0) * residual_scale) / scale - acc.mean(axis=0)
        if self.chance(0.15):
            bias = rng.integers(-200, 200, out_channels)
        channel = rng.integers(out_channels)
        if self.chance(0.08):
            bias[channel] = rng.choice([-(2**31), 2**31 - 1])
        if self.chance(0.12):
            scale[channel] = rng.choice([0, -32_768, 32_767])
        bias = np.clip(np.round(bias), -(2**31), 2**31 - 1)
        return values | {"scale": scale.astype(np.int16), "bias": bias.astype(np.int32)}
