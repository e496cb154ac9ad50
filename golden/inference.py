"""Exact inference: the integers that the hardware must produce, computed in NumPy."""

import math
from collections.abc import Callable, Collection

import numpy as np

from hiddenite.golden.checks import listing, one_line
from hiddenite.golden.convolution import Weights, convolve
from hiddenite.golden.errors import InputError
from hiddenite.golden.joining import add, upsample
from hiddenite.golden.layers import Add, AvgPool, Concat, Conv, MaxPool
from hiddenite.golden.pooling import avg_pool, max_pool

MAX_BATCH = 128
"""The largest number of images that are computed at once."""

BATCH_BYTES = 128 * 2**20
"""What the activations of a batch may take, unless a single image takes more."""

MAX_ACTIVATIONS = 2**28
"""The largest number of activations of one image that are needed at once."""


def check_images(network, images):
    """Raise `InputError` unless `images` fit the input of `network`.

    Parameters
    ----------
    network : Network
        The network, whose input is (H, W, C).
    images : array
        Accepted: of the input's type, (N, H, W, C).
    """
    if isinstance(images, np.ndarray):
        found = f"{images.dtype} of shape ({', '.join(map(str, images.shape))})"
        if images.dtype == network.input.type and images.shape[1:] == network.input.shape:
            return
    else:
        found = type(images).__name__
    height, width, channels = network.input.shape
    raise InputError(
        f"images for network {one_line(network.name)} must be {network.input.type} of shape"
        f" (N, {height}, {width}, {channels}), not {found}"
    )


def infer(network, images, progress: Callable[[int], None] | None = None):
    """Return the network's result for each image.

    Parameters
    ----------
    network : Network
        The network.
    images : uint8 or int8 array, (N, H, W, C)
        Images of the type and shape of its input.
    progress : callable, optional
        Called after each batch with the number of images done so far.

    Returns
    -------
    uint8, int8 or int32 array, (N, OH, OW, O)
        The last layer's output.

    Raises
    ------
    InputError
        The images do not fit the network, or its activations are more than `MAX_ACTIVATIONS`.
    """
    name = network.layers[-1].name
    return infer_layers(network, images, [name], progress)[name]


def infer_layers(
    network,
    images,
    names: Collection[str] | None = None,
    progress: Callable[[int], None] | None = None,
):
    """Return tensors of the network for each image.

    Parameters
    ----------
    network : Network
        The network.
    images : uint8 or int8 array, (N, H, W, C)
        Images of the type and shape of its input.
    names : collection of str, optional
        The tensors to return; the default is all of them, the image included.
    progress : callable, optional
        Called after each batch with the number of images done so far.

    Returns
    -------
    dict of str to uint8, int8 or int32 array, each (N, OH, OW, O)
        In order of execution.

    Raises
    ------
    InputError
        The images do not fit the network, it has no tensor of one of the names, or its activations
        are more than `MAX_ACTIVATIONS`.
    """
    check_images(network, images)
    names = network.shapes if names is None else names
    for name in names:
        if name not in network.shapes:
            raise InputError(
                f"network {one_line(network.name)}: tensor must be one of"
                f" {listing(network.shapes)}, not {one_line(name)}"
            )
    last_use = {name: layer for layer in network.layers for name in (*layer.inputs, layer.name)}
    needed = _largest_need(network, last_use)
    results = {
        name: np.empty((len(images), *shape), network.types[name])
        for name, shape in network.shapes.items()
        if name in names
    }
    weights = Weights(network.seed)
    batch = _batch_size(network, needed)
    for start in range(0, len(images), batch):
        part = slice(start, start + batch)
        tensors = {network.input.name: images[part]}
        if network.input.name in results:
            results[network.input.name][part] = images[part]
        for layer in network.layers:
            output = _compute(layer, weights, tensors)
            if layer.name in results:
                results[layer.name][part] = output
            tensors[layer.name] = output
            for name in {*layer.inputs, layer.name}:
                if last_use[name] is layer:
                    del tensors[name]
        if progress is not None:
            progress(min(start + batch, len(images)))
    return results


def _batch_size(network, needed):
    """Return how many images to compute at once, of which each needs so many activations."""
    largest = max(height * width * channels for height, width, channels in network.shapes.values())
    # A layer's tensors, 32 bits of its output and some of what is computed; or all that wait.
    return max(1, min(MAX_BATCH, BATCH_BYTES // max(12 * largest, needed)))


def _largest_need(network, last_use):
    """Return the most activations of an image that are needed at once.

    Raises
    ------
    InputError
        They are more than `MAX_ACTIVATIONS`: a few lines of a file can ask for any size.
    """
    sizes = {name: math.prod(shape) for name, shape in network.shapes.items()}
    needed = largest = sizes[network.input.name]
    for layer in network.layers:
        needed += sizes[layer.name]
        largest = max(largest, needed)
        if needed > MAX_ACTIVATIONS:
            raise InputError(
                f"{layer.where}: activations of an image, with those for later layers, must be at"
                f" most {MAX_ACTIVATIONS:,} to be computed, not {needed:,}"
            )
        for name in {*layer.inputs, layer.name}:
            if last_use[name] is layer:
                needed -= sizes[name]
    return largest


def _compute(layer, weights, tensors):
    x, *more = (tensors[name] for name in layer.inputs)
    if isinstance(layer, Conv):
        return convolve(layer, weights.matrices(layer), x, *more)
    if isinstance(layer, MaxPool):
        return max_pool(layer, x)
    if isinstance(layer, AvgPool):
        return avg_pool(layer, x)
    if isinstance(layer, Add):
        return add(layer, x, *more)
    if isinstance(layer, Concat):
        return np.concatenate([x, *more], axis=-1)
    return upsample(layer, x)
