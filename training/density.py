"""How many weights a network keeps while it is trained."""

import math

import torch

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.masks import largest
from hiddenite.training.layers.weights import HiddenWeights, check_density

SCOPES = ("layer", "network")


class DensitySchedule:
    """Sets the density of a model's hidden layers: from all weights down to a target.

    The density falls with the third power of what is left of the ramp (Zhu, Gupta, "To prune, or
    not to prune", 2017), then stays. In the scope of a layer, each layer keeps that fraction of
    its weights; in that of the network, the layers share it by the ranks of their |scores|, but no
    layer keeps less than `floor` times the density, nor fewer weights than it has channels. So
    many weights are kept as were asked for, to the nearest one, whatever scores are equal; of
    those, the first are kept. Only where what every layer keeps in any case is more than was
    asked for, exactly that is kept.

    A copy of the model, such as an average over the training, has numbers of its own and wants a
    schedule of its own.

    Parameters
    ----------
    model : nn.Module
        The model; those of its layers that keep one of every m weights are left alone.
    density : float
        The target, above 0 and at most 1.
    scope : {"layer", "network"}
        What the density is counted over.
    ramp : float
        Fraction of the training during which the density falls, 0 (none) to 1.
    floor : float
        The least density of a layer as a fraction of the network's, 0 to 1.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    def __init__(self, model, density, *, scope="layer", ramp=0.0, floor=0.2):
        self.density = check_density(density)
        if scope not in SCOPES:
            raise InputError(f"density scope must be one of {', '.join(SCOPES)}, not {scope!r}")
        for name, value in (("ramp", ramp), ("floor", floor)):
            if not 0 <= value <= 1:
                raise InputError(f"density {name} must be from 0 to 1, not {value!r}")
        self.scope, self.ramp, self.floor = scope, ramp, floor
        self._hidden = [
            (name, module)
            for name, module in model.named_modules()
            if isinstance(module, HiddenWeights)
        ]

    @property
    def layers(self):
        """The sources of weights whose density is set."""
        return [module for _, module in self._hidden if not module.one_of]

    def at(self, progress):
        """Return the density at `progress`, the fraction of the training that is done."""
        if progress >= self.ramp:
            return self.density
        return self.density + (1 - self.density) * (1 - progress / self.ramp) ** 3

    def step(self, progress):
        """Set how many weights each layer keeps at `progress`, 0 to 1.

        Raises
        ------
        InputError
            A score is NaN.
        """
        density, layers = self.at(progress), self.layers
        if self.scope == "layer" or not layers:
            for layer in layers:
                layer.keep = layer.count(density)
            return
        with torch.no_grad():
            least = [self._least(layer, density) for layer in layers]
            ranks = []
            for layer, number in zip(layers, least, strict=True):
                scores = self._scores(layer)
                # What a layer keeps in any case does not compete.
                ranks.append(scores.masked_fill(largest(scores, number), -1))
            sizes = [len(item) for item in ranks]
            more = max(0, round(density * sum(sizes)) - sum(least))
            parts = largest(torch.cat(ranks), more).split(sizes)
            for layer, number, part in zip(layers, least, parts, strict=True):
                layer.keep = number + int(part.sum())

    def _least(self, layer, density):
        """Return how many weights a layer keeps in any case."""
        # Rounded first: 0.07 * 100 is a little more than 7.
        return max(layer.count(0), math.ceil(round(self.floor * density * layer.scores.numel(), 6)))

    def _scores(self, layer):
        """Return a layer's |scores| in a row."""
        try:
            return layer.magnitudes().flatten()
        except InputError as error:
            name = next(name for name, module in self._hidden if module is layer)
            raise InputError(f"layer {name!r}: {error}") from None
