"""Which weights of a conv are -1."""

import numpy as np

from hiddenite.golden.network import Conv
from hiddenite.golden.weights import signs

__all__ = ["negative_weights"]


def negative_weights(layer: Conv, seed: int) -> np.ndarray:
    """Weights that are kept and -1, boolean, of the mask's shape: as given, or as generated.

    Parameters
    ----------
    layer : Conv
    seed : int
        With which the layer's output channel 0 has its weights.
    """
    if layer.sign is not None:
        return layer.sign
    return layer.mask & (signs(seed, layer.index, layer.mask.shape) < 0)
