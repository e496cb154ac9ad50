"""How many weights a network keeps while it is trained."""

import torch

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.weights import HiddenWeights, check_density

SCOPES = ("layer", "network")


class DensitySchedule:
    """Sets the density of a model's hidden layers: from all weights down to a target.

    The density falls with the third power of what is left of the ramp (Zhu, Gupta, "To prune, or
    not to prune", 2017), then stays. In the scope of a layer, each layer keeps that fraction of
    its weights; in that of the network, the layers share it by the ranks of their |scores|, but no
    layer keeps less than `floor` times the density, nor fewer weights than it has channels.

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
        self.layers = [
            module
            for module in model.modules()
            if isinstance(module, HiddenWeights) and not module.one_of
        ]

    def at(self, progress):
        """Return the density at `progress`, the fraction of the training that is done."""
        if progress >= self.ramp:
            return self.density
        return self.density + (1 - self.density) * (1 - progress / self.ramp) ** 3

    def step(self, progress):
        """Set how many weights each layer keeps at `progress`, 0 to 1."""
        density = self.at(progress)
        if self.scope == "layer" or not self.layers:
            for layer in self.layers:
                layer.keep = layer.count(density)
            return
        with torch.no_grad():
            ranks, kept = [], 0
            for layer in self.layers:
                scores = layer.scores.abs().flatten()
                least = layer.count(self.floor * density)
                kept += least
                # What a layer keeps in any case comes before all else.
                first = scores.topk(least, sorted=False).indices
                ranks.append(scores.index_fill(0, first, torch.inf))
            total = sum(len(item) for item in ranks)
            best = torch.cat(ranks).topk(max(kept, round(density * total)), sorted=False)
            threshold = best.values.min()
            for layer, item in zip(self.layers, ranks, strict=True):
                layer.keep = int((item >= threshold).sum())
