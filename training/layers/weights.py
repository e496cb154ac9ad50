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
from hiddenite.training.layers.settings import SETTINGS, StatedModule

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


class HiddenWeights(StatedModule):
    """Random signs that never change, and the scores that choose which of them to keep.

    The scores are trained by edge-popup (Ramanujan et al., "What's hidden in a randomly weighted
    neural network?", 2020): the weights with the largest |score| are kept, and the gradient of a
    weight goes to its score as if there were no choice. Of equal |scores| the first ones are kept.

    A state dictionary has all that decides the codes: loaded into a layer of another seed, index,
    density or `one_of`, it makes that layer the one it was taken from.

    Parameters
    ----------
    shape : (int, int, int, int)
        (O, KH, KW, C).
    index : int
        The weight-set index, 0 to 65,535. Layers with different indexes have different signs.
    seed : int
        The network's seed, 32 bit.
    density : float
        Fraction of the weights that are kept, above 0 and at most 1, to the nearest weight. Every
        output channel keeps its best weight; where that is more than was asked, O are kept.
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
        A value breaks one of these rules, or a score is NaN.
    """

    kind = "hidden"
    tensor_prefix = "scores"

    def __init__(self, shape, *, index, seed=1, density=0.3, one_of=None):
        super().__init__()
        self.scores = nn.Parameter(torch.empty(shape))
        self.register_buffer("sign", None, persistent=False)
        self._set_source(index=index, seed=seed, density=density, one_of=one_of)
        self._keep = self.count(self.density)
        bound = 1 / math.sqrt(self.fan_in)
        nn.init.uniform_(self.scores, -bound, bound)

    def _set_source(self, *, index, seed, density, one_of):
        """Take over what decides the signs, and which scores compete."""
        _check_integer("index", index, 0, MAX_INDEX)
        _check_integer("seed", seed, 0, MAX_SEED)
        if one_of is not None:
            _check_integer("one_of", one_of, 2, 2**15)
        density = 1 / one_of if one_of else check_density(density)
        self.index, self.seed, self.one_of, self.density = index, seed, one_of, density
        sign = torch.from_numpy(signs(seed, index, tuple(self.scores.shape)))
        self.sign = sign.to(self.scores.device, self.scores.dtype)

    @property
    def fan_in(self):
        """Weights of one output channel."""
        return self.scores[0].numel()

    def count(self, density):
        """Return how many weights are kept at a density."""
        if self.one_of:
            channels, height, width, in_channels = self.scores.shape
            return channels * height * -(-width * in_channels // self.one_of)
        return max(len(self.scores), round(density * self.scores.numel()))

    @property
    def keep(self):
        return self._keep

    @keep.setter
    def keep(self, number):
        low, high = len(self.scores), self.scores.numel()
        if self.one_of:
            low = high = self.count(self.density)
        _check_integer("keep", number, low, high)
        self._keep = number

    @property
    def gain(self):
        """Size of a kept weight: that which keeps the variance of activations (He et al., 2015)."""
        return math.sqrt(2 * self.scores.numel() / (self.fan_in * self.keep))

    def get_extra_state(self):
        """Part of the state dictionary: all that decides the codes, but the scores."""
        names = ("seed", "index", "density", "one_of", "keep")
        return {name: getattr(self, name) for name in names}

    def set_settings(self, **settings):
        """Become the layer whose settings these are."""
        source = {name: value for name, value in settings.items() if name != "keep"}
        before = self.get_extra_state()
        self._set_source(**source)
        try:
            self.keep = settings["keep"]
        except InputError:
            self._set_source(**{name: before[name] for name in source})
            raise

    def _load_from_state_dict(self, state_dict, prefix, *arguments):
        scores = state_dict.get(f"{prefix}scores")
        if getattr(scores, "shape", None) != self.scores.shape and prefix + SETTINGS in state_dict:
            # PyTorch says that such scores are missing or do not fit. The settings stay as well.
            state_dict = {**state_dict, prefix + SETTINGS: self.get_extra_state()}
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def magnitudes(self):
        """Return |scores|, by whose ranks weights are kept.

        Raises
        ------
        InputError
            A score is NaN, which has no rank.
        """
        if self.scores.isnan().any():
            raise InputError(
                f"scores of weight set {self.index} must be numbers, not nan: the training has"
                " diverged, as it does when its learning rate is too large"
            )
        return self.scores.abs()

    def mask(self):
        """Return 1.0 for each kept weight and 0.0 for the others, with gradients for the scores."""
        if self.one_of:
            return OneOf.apply(self.magnitudes(), self.one_of)
        return TopK.apply(self.magnitudes(), self.keep)

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
