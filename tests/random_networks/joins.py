"""Random adds, concats and upsamples."""

import numpy as np

from hiddenite.golden.network import Add, Concat, Upsample

from .choices import Choices
from .features import Feature

__all__ = ["MAX_CONCAT_CHANNELS", "JoinChoices"]

MAX_CONCAT_CHANNELS = 80


class JoinChoices(Choices):
    """Layers without a window."""

    @property
    def joins(self):
        """What adds those that the network may use."""
        kinds = {
            Feature.ADD: self.add_add,
            Feature.CONCAT: self.add_concat,
            Feature.UPSAMPLE: self.add_upsample,
        }
        return [add for feature, add in kinds.items() if feature in self.features]

    def add_join(self):
        """Try to add one of them, an add first where it may be one; return whether it fits."""
        if self.wants(Feature.ADD, 0.6):
            return self.add_add()
        return self.joins[self.rng.integers(len(self.joins))]()

    def add_add(self):
        """Try to add an add, mostly of two tensors, of two types if there are such."""
        name = self.choose_input()
        shape, found = self.shapes[name], self.types[name]
        names = [other for other in self.shapes if self.shapes[other] == shape]
        mixed = [other for other in names if self.types[other] != found]
        residual = str(self.rng.choice(mixed if mixed and self.chance(0.7) else names))
        if residual == name and self.chance(0.7):
            return False
        output = "int8" if self.wants(Feature.INT8, 0.5) else "uint8"
        shift = self.choose_shift(5, 15)
        gains = self.rng.uniform(0.2, 1.2, 2)
        scale, residual_scale = (int(gain) for gain in np.round(gains * 2**shift))
        if self.chance(0.1):
            scale = int(self.rng.choice([1, 32_767]))
        if self.chance(0.1):
            residual_scale = int(self.rng.choice([0, 2**24 - 1]))
        self.append(
            Add(
                name=self.new_name(),
                input=name,
                scale=int(np.clip(scale, 1, 32_767)),
                residual=residual,
                residual_scale=min(residual_scale, 2**24 - 1),
                shift=shift,
                output=output,
            )
        )
        return True

    def add_concat(self):
        """Try to add a concat, mostly of few tensors, one of which may occur more than once."""
        name = self.choose_input()
        shape, found = self.shapes[name], self.types[name]
        names = [
            other
            for other in self.shapes
            if self.shapes[other][:2] == shape[:2] and self.types[other] == found
        ]
        count = int(self.rng.integers(1, 65 if self.chance(0.1) else 5))
        chosen = [name, *map(str, self.rng.choice(names, count - 1))]
        self.rng.shuffle(chosen)
        if sum(self.shapes[other][2] for other in chosen) > MAX_CONCAT_CHANNELS:
            return False
        self.append(Concat(name=self.new_name(), inputs=chosen))
        return True

    def add_upsample(self):
        """Try to add an upsample."""
        name = self.choose_input()
        height, width, _ = self.shapes[name]
        down, across = (int(factor) for factor in self.rng.integers(1, 4, 2))
        if self.chance(0.1):  # for maps of few pixels
            down = 16
        if self.chance(0.1):
            across = 16
        if height * down * width * across > self.max_pixels:
            return False
        self.append(Upsample(name=self.new_name(), input=name, factor=(down, across)))
        return True
