"""Makes the layers of an architecture with one kind of weights.

Hidden, binary and dense networks are thus the same module in everything but their weights.
"""

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.activation import STEP, QuantizedIdentity, QuantizedReLU
from hiddenite.training.layers.coded import CodedConv2d, CodedLinear, pair
from hiddenite.training.layers.weights import BinaryWeights, DenseWeights, HiddenWeights

KINDS = ("hidden", "binary", "dense")


class LayerFactory:
    """Makes convolutions, fully connected layers and activations.

    Hidden layers get the weight-set indexes 0, 1, 2, ... in the order in which they are made.

    Parameters
    ----------
    kind : {"hidden", "binary", "dense"}
        Where weights come from.
    seed : int
        Seed of the hidden weights' signs.
    density : float
        Fraction of the hidden weights that are kept.
    one_of : int, optional
        Keep one of every `one_of` consecutive hidden weights instead.
    step : float
        Unit of the activations.

    Raises
    ------
    InputError
        There is no such kind.
    """

    def __init__(self, kind="hidden", *, seed=1, density=0.3, one_of=None, step=STEP):
        if kind not in KINDS:
            raise InputError(f"kind of weights must be one of {', '.join(KINDS)}, not {kind!r}")
        self.kind, self.step = kind, step
        self._options = {"seed": seed, "density": density, "one_of": one_of}
        self._index = 0

    def _weights(self, shape):
        if self.kind == "binary":
            return BinaryWeights(shape)
        if self.kind == "dense":
            return DenseWeights(shape)
        self._index += 1
        return HiddenWeights(shape, index=self._index - 1, **self._options)

    def conv(self, in_channels, out_channels, kernel_size, *, groups=1, **geometry):
        """Return a convolution without a bias, of the geometry of `CodedConv2d`."""
        height, width = pair(kernel_size)
        weights = self._weights((out_channels, height, width, in_channels // groups))
        return CodedConv2d(weights, groups=groups, **geometry)

    def linear(self, in_channels, out_features, *, map_size=(1, 1)):
        """Return a fully connected layer, without a bias, for maps of `map_size` (H, W)."""
        return CodedLinear(self._weights((out_features, *map_size, in_channels)))

    def activation(self):
        """Return a rectifier that rounds to 8 bits."""
        return QuantizedReLU(self.step)

    def signed(self):
        """Return what rounds to 8 bits with a sign, without a rectifier."""
        return QuantizedIdentity(2 * self.step)
