import numpy as np
import pytest
from memory import at_most

from hiddenite.golden import convolution
from hiddenite.golden.convolution import Weights, convolve
from hiddenite.golden.network import Conv
from hiddenite.golden.weights import signs


def make(rng, kernel, channels, out_channels=2, **options):
    return Conv(
        name="c",
        input="x",
        index=int(rng.integers(0, 9)),
        out_channels=out_channels,
        kernel=kernel,
        mask=rng.random((out_channels, *kernel, channels)) < 0.5,
        scale=rng.integers(-3000, 3000, out_channels).astype(np.int16),
        bias=rng.integers(-2000, 2000, out_channels).astype(np.int32),
        shift=int(rng.integers(1, 20)),
        **options,
    )


def reference(conv, seed, x):
    """Convolve a padded copy, window by window."""
    weights = (signs(seed, conv.index, conv.mask.shape) * conv.mask).astype(np.int64)
    (top, left, bottom, right), (height, width) = conv.padding, conv.kernel
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))).astype(np.int64)
    _, lines, columns, _ = shape = (len(x), *conv.output_shape(x.shape[1:]))
    output = np.empty(shape, np.int64)
    for line, column in np.ndindex(lines, columns):
        y, x = line * conv.stride[0], column * conv.stride[1]
        window = padded[:, y : y + height, x : x + width]
        v = (np.einsum("nyxc,oyxc->no", window, weights) + conv.bias) * conv.scale
        output[:, line, column] = v + (1 << (conv.shift - 1)) >> conv.shift
    return np.clip(output, 0, 255)


@pytest.mark.parametrize("block_bytes", [1, 3000, 2**26])
def test_convs_are_those_of_a_padded_map(monkeypatch, block_bytes):
    monkeypatch.setattr(convolution, "BLOCK_BYTES", block_bytes)
    rng = np.random.default_rng(3)
    count = 0
    while count < 150:
        _, height, width, channels = shape = rng.integers(1, 9, 4)
        kernel = tuple(int(size) for size in rng.integers(1, rng.choice([4, 14]), 2))
        padding = tuple(int(rng.integers(0, size)) for size in kernel)
        if (np.array(kernel) > (height, width) + 2 * np.array(padding)).any():
            continue
        conv = make(rng, kernel, channels, padding=padding, stride=tuple(rng.integers(1, 6, 2)))
        images = rng.integers(0, 256, shape).astype(np.uint8)
        output = convolve(conv, Weights(count).matrices(conv), images)
        np.testing.assert_array_equal(output, reference(conv, count, images), err_msg=repr(conv))
        count += 1


def test_large_padding_takes_no_memory():
    rng = np.random.default_rng(4)
    # A padded copy would take 1.6 GB.
    conv = make(rng, (400_000, 1), 1, 1, padding=(399_999, 0), stride=(8000, 1))
    images = rng.integers(0, 256, (1, 1, 2000, 1)).astype(np.uint8)
    matrices = Weights(5).matrices(conv)
    with at_most(100 * 2**20):
        output = convolve(conv, matrices, images)
    taps = 399_999 - 8000 * np.arange(50)
    # One tap of the kernel lies on the map's only line.
    v = (images[0, 0, :, 0] * matrices[0, taps].astype(np.int64) + conv.bias) * conv.scale
    v = v + (1 << (conv.shift - 1)) >> conv.shift
    np.testing.assert_array_equal(output[0, :, :, 0], np.clip(v, 0, 255))


def test_weights_are_shared_and_kept_while_there_is_room(monkeypatch):
    rng = np.random.default_rng(6)
    one, other = make(rng, (3, 3), 4), make(rng, (3, 3), 4)
    weights = Weights(1)
    kept = weights.matrices(one)
    assert weights.matrices(one) is kept
    monkeypatch.setattr(convolution, "WEIGHT_BYTES", kept.nbytes)
    first = weights.matrices(other)
    assert weights.matrices(other) is not first
    np.testing.assert_array_equal(weights.matrices(other), first)
    assert weights.matrices(one) is kept
