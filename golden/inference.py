"""Exact inference: the integers that the hardware must produce, computed in NumPy.

Accumulators are matrix products in floating point, of integers that are small enough to be exact
in it; everything after them is in 64-bit integers.
"""

from collections.abc import Callable, Collection

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import AvgPool, Conv, MaxPool
from hiddenite.golden.weights import signs

MAX_BATCH = 128
"""The largest number of images that are computed at once."""

BATCH_BYTES = 128 * 2**20
"""What the activations of a batch may take, unless a single image takes more."""

BLOCK_BYTES = 64 * 2**20
"""What the windows and accumulators of a block of a conv's output lines may take."""


def check_images(network, images):
    """Raise `InputError` unless `images` fit the input of `network`.

    Parameters
    ----------
    network : Network
        The network, whose input is (H, W, C).
    images : array
        Accepted: uint8, (N, H, W, C).
    """
    if isinstance(images, np.ndarray):
        found = f"{images.dtype} of shape ({', '.join(map(str, images.shape))})"
        if images.dtype == np.uint8 and images.shape[1:] == network.input.shape:
            return
    else:
        found = type(images).__name__
    height, width, channels = network.input.shape
    raise InputError(
        f"images for network {network.name!r} must be uint8 of shape"
        f" (N, {height}, {width}, {channels}), not {found}"
    )


def infer(network, images, progress: Callable[[int], None] | None = None):
    """Return the network's result for each image.

    Parameters
    ----------
    network : Network
        The network.
    images : uint8 array, (N, H, W, C)
        Images of the shape of its input.
    progress : callable, optional
        Called after each batch with the number of images done so far.

    Returns
    -------
    uint8 or int32 array, (N, OH, OW, O)
        The last layer's output.

    Raises
    ------
    InputError
        The images do not fit the network.
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
    images : uint8 array, (N, H, W, C)
        Images of the shape of its input.
    names : collection of str, optional
        The tensors to return; the default is all of them, the image included.
    progress : callable, optional
        Called after each batch with the number of images done so far.

    Returns
    -------
    dict of str to uint8 or int32 array, each (N, OH, OW, O)
        In order of execution.

    Raises
    ------
    InputError
        The images do not fit the network, or it has no tensor of one of the names.
    """
    check_images(network, images)
    names = network.shapes if names is None else names
    for name in names:
        if name not in network.shapes:
            raise InputError(
                f"network {network.name!r}: tensor must be one of {', '.join(network.shapes)},"
                f" not {name!r}"
            )
    results = {
        name: np.empty((len(images), *shape), network.types[name])
        for name, shape in network.shapes.items()
        if name in names
    }
    weights = {
        layer.name: _weight_matrix(network.seed, layer)
        for layer in network.layers
        if isinstance(layer, Conv)
    }
    last_use = {name: layer for layer in network.layers for name in (*layer.inputs, layer.name)}
    batch = _batch_size(network)
    for start in range(0, len(images), batch):
        part = slice(start, start + batch)
        tensors = {network.input.name: images[part]}
        if network.input.name in results:
            results[network.input.name][part] = images[part]
        for layer in network.layers:
            output = _compute(layer, weights.get(layer.name), tensors)
            if layer.name in results:
                results[layer.name][part] = output
            tensors[layer.name] = output
            for name in {*layer.inputs, layer.name}:
                if last_use[name] is layer:
                    del tensors[name]
        if progress is not None:
            progress(min(start + batch, len(images)))
    return results


def _batch_size(network):
    """Return how many images to compute at once."""
    largest = max(height * width * channels for height, width, channels in network.shapes.values())
    # The tensors of a layer: input, residual, padded copy, output, and 64-bit sums of a pool.
    return max(1, min(MAX_BATCH, BATCH_BYTES // (12 * largest)))


def _weight_matrix(seed, conv):
    """Return a conv's masked signs as (KH * KW * C, O), in a type whose sums are exact.

    Sums of n products of an 8-bit activation and -1, 0 or 1 are at most 255 * n, whatever the
    order of the additions.
    """
    kept = np.count_nonzero(conv.mask, axis=(1, 2, 3)).max()
    dtype = np.float32 if 255 * kept < 2**24 else np.float64
    weights = signs(seed, conv.index, conv.mask.shape) * conv.mask
    return np.ascontiguousarray(weights.reshape(conv.out_channels, -1).T, dtype=dtype)


def _compute(layer, weights, tensors):
    x = _pad(tensors[layer.input], layer.padding)
    if isinstance(layer, Conv):
        residual = None if layer.residual is None else tensors[layer.residual]
        return _conv(layer, weights, x, residual)
    if isinstance(layer, MaxPool):
        return _max_pool(layer, x)
    return _avg_pool(layer, x)


def _pad(x, padding):
    """Return (N, H, W, C) with lines and columns of zeros on each side."""
    height, width = padding
    if not height and not width:
        return x
    return np.pad(x, ((0, 0), (height, height), (width, width), (0, 0)))


def _conv(conv, weights, x, residual):
    """Return a conv's output for padded images, some of its lines at a time."""
    windows = np.lib.stride_tricks.sliding_window_view(x, conv.kernel, axis=(1, 2))
    windows = windows[:, :: conv.stride[0], :: conv.stride[1]]  # (N, OH, OW, C, KH, KW)
    windows = windows.transpose(0, 1, 2, 4, 5, 3)
    images, height, width = windows.shape[:3]
    taps, out_channels = weights.shape
    output = np.empty((images, height, width, out_channels), conv.output)
    # One output line of one image: its windows, its products, and two 64-bit numbers for each.
    line_bytes = width * (weights.itemsize * (taps + out_channels) + 16 * out_channels)
    image_block = max(1, BLOCK_BYTES // (line_bytes * height))
    line_block = max(1, BLOCK_BYTES // line_bytes)
    for image in range(0, images, image_block):
        for line in range(0, height, line_block):
            block = np.s_[image : image + image_block, line : line + line_block]
            matrix = windows[block].astype(weights.dtype, order="C").reshape(-1, taps)
            # BLAS may compute with what lies behind a row, too, and tell of that (numpy#24067); all
            # that it is given are integers.
            with np.errstate(invalid="ignore"):
                products = matrix @ weights
            accumulators = products.reshape(output[block].shape).astype(np.int64)
            output[block] = _finish(
                conv, accumulators, None if residual is None else residual[block]
            )
    return output


def _finish(conv, v, residual):
    """Return outputs for accumulators, which are overwritten.

    No sum reaches 64 bits: a mask that fits in memory has fewer than 2**40 weights, so that an
    accumulator with its bias is below 2**49, and the scale has 15 bits and a sign.
    """
    v += conv.bias
    v *= conv.scale
    if residual is not None:
        v += residual.astype(np.int64) * conv.residual_scale
    v += 1 << (conv.shift - 1)
    v >>= conv.shift
    limits = np.iinfo(conv.output)
    return np.clip(v, limits.min, limits.max, out=v)


def _pool_windows(pool, x):
    """Yield, for each tap of the kernel, its activations as (N, OH, OW, C)."""
    height = x.shape[1] - pool.kernel[0] + 1
    width = x.shape[2] - pool.kernel[1] + 1
    for ky in range(pool.kernel[0]):
        for kx in range(pool.kernel[1]):
            yield x[:, ky : ky + height : pool.stride[0], kx : kx + width : pool.stride[1]]


def _max_pool(pool, x):
    windows = _pool_windows(pool, x)
    output = next(windows).copy()
    for window in windows:
        np.maximum(output, window, out=output)
    return output


def _avg_pool(pool: AvgPool, x):
    windows = _pool_windows(pool, x)
    v = next(windows).astype(np.int64)
    for window in windows:
        v += window
    v *= pool.scale
    v += 1 << (pool.shift - 1)
    v >>= pool.shift
    return np.minimum(v, 255, out=v).astype(np.uint8)
