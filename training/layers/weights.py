"""Where the weights of a layer come from: masked random signs, learnt signs, or learnt integers.

Each source is a module whose call gives the layer's *codes*, the integers that hardware would
multiply activations by, as floats in O-H-W-I order; gradients pass through the rounding. The
layer's real weights are ``codes * gain``. A batch normalisation behind the layer absorbs the gain.

    HiddenWeights    -1, 0, +1       sign of ``spec: weight signs``, kept or not by a supermask
    BinaryWeights    -1, +1          sign of a learnt number
    DenseWeights     -127 ... 127    a learnt number, rounded; one step size for each channel
"""

import math

import torch
from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.golden.weights import signs
from hiddenite.training.layers.masks import OneOf, TopK

MAX_SEED = 2**32 - 1
MAX_INDEX = 65_535
MAX_CODE = 127
"""The largest code of a dense layer: 8 bits with a sign."""


def check_density(density):
    """Raise `InputError` unless `density` is above 0 and at most 1; return it as a float."""
    if isinstance(density, bool) or not isinstance(density, int | float) or not 0 < density <= 1:
        raise InputError(f"density must be above 0 and at most 1, not {density!r}")
    return float(density)


def _check_integer(name, value, low, high):
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name} must be an integer from {low} to {high}, not {value!r}")


class HiddenWeights(nn.Module):
    """Random signs that never change, and the scores that choose which of them to keep.

    The scores are trained by edge-popup (Ramanujan et al., "What's hidden in a randomly weighted
    neural network?", 2020): the weights with the largest |score| are kept, and the gradient of a
    weight goes to its score as if there were no choice.

    Parameters
    ----------
    shape : (int, int, int, int)
        (O, KH, KW, C).
    index : int
        The weight-set index, 0 to 65,535. Layers with different indexes have different signs.
    seed : int
        The network's seed, 32 bit.
    density : float
        Fraction of the weights that are kept, above 0 and at most 1. Every output channel keeps at
        least its best weight, so at least O weights are kept.
    one_of : int, optional
        Keep exactly one of every `one_of` consecutive weights of a row (one output channel, one
        kernel line, in x, c order; the rest of a row counts as a whole group) instead of the best
        of the layer: a code of a fixed ``log2(one_of) / one_of`` bits a weight. `density` is then
        ``1 / one_of``.

    Attributes
    ----------
    scores : float parameter, shape `shape`
    keep : int
        How many weights are kept; a `DensitySchedule` changes it.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    kind = "hidden"

    def __init__(self, shape, *, index, seed=1, density=0.3, one_of=None):
        super().__init__()
        _check_integer("index", index, 0, MAX_INDEX)
        _check_integer("seed", seed, 0, MAX_SEED)
        if one_of is not None:
            _check_integer("one_of", one_of, 2, 2**15)
        self.index, self.seed, self.one_of = index, seed, one_of
        self.density = 1 / one_of if one_of else check_density(density)
        self.scores = nn.Parameter(torch.empty(shape))
        bound = 1 / math.sqrt(self.fan_in)
        nn.init.uniform_(self.scores, -bound, bound)
        sign = torch.from_numpy(signs(seed, index, tuple(shape))).float()
        self.register_buffer("sign", sign, persistent=False)
        self.keep = self.count(self.density)

    @property
    def fan_in(self):
        """Weights of one output channel."""
        return self.scores[0].numel()

    def count(self, density):
        """Return how many weights are kept at a density."""
        return max(len(self.scores), math.ceil(density * self.scores.numel()))

    @property
    def gain(self):
        """Size of a kept weight: that which keeps the variance of activations (He et al., 2015)."""
        density = self.density if self.one_of else self.keep / self.scores.numel()
        return math.sqrt(2 / (self.fan_in * density))

    def get_extra_state(self):
        """Part of the state dictionary: a schedule may have changed how many weights are kept."""
        return {"keep": self.keep}

    def set_extra_state(self, state):
        """Restore what `get_extra_state` returned."""
        self.keep = state["keep"]

    def mask(self):
        """Return 1.0 for each kept weight and 0.0 for the others, with gradients for the scores."""
        if self.one_of:
            return OneOf.apply(self.scores.abs(), self.one_of)
        return TopK.apply(self.scores.abs(), self.keep)

    def forward(self):
        return self.mask() * self.sign


class _Sign(torch.autograd.Function):
    """Sign, +1 for 0; the gradient passes where the argument is within -1 ... 1."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


class BinaryWeights(nn.Module):
    """Learnt signs, as of a binary network (Courbariaux et al., 2016): 1 bit a weight.

    Parameters
    ----------
    shape : (int, int, int, int)
        (O, KH, KW, C).
    """

    kind = "binary"

    def __init__(self, shape):
        super().__init__()
        self.latent = nn.Parameter(torch.empty(shape))
        self.gain = math.sqrt(2 / self.latent[0].numel())
        nn.init.uniform_(self.latent, -0.1, 0.1)

    def forward(self):
        return _Sign.apply(self.latent)


class DenseWeights(nn.Module):
    """Learnt weights, rounded to 8 bits with a step size for each output channel.

    Parameters
    ----------
    shape : (int, int, int, int)
        (O, KH, KW, C).
    """

    kind = "dense"

    def __init__(self, shape):
        super().__init__()
        self.latent = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.latent, std=math.sqrt(2 / self.latent[0].numel()))

    @property
    def gain(self):
        """Step size of each output channel, shape (O,)."""
        return self.latent.detach().flatten(1).abs().amax(1).clamp(min=1e-8) / MAX_CODE

    def forward(self):
        scaled = self.latent / self.gain.view(-1, 1, 1, 1)
        return scaled + (scaled.round() - scaled).detach()
