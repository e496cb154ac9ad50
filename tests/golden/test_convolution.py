import time
from dataclasses import replace

import numpy as np
import pytest
from memory import at_most

from hiddenite.golden import convolution
from hiddenite.golden.convolution import Weights, convolve
from hiddenite.golden.network import Conv
from hiddenite.golden.weights import signs


def make(rng, kernel, channels, out_channels=2, **options):
    """Return a random conv; `channels` are those of a group."""
    shape = (out_channels, *kernel, channels)
    options.setdefault("mask", rng.random(shape) < 0.5)
    return Conv(
        name="c",
        input="x",
        index=int(rng.integers(0, 9)),
        out_channels=out_channels,
        kernel=kernel,
        scale=rng.integers(-3000, 3000, out_channels).astype(np.int16),
        bias=rng.integers(-2000, 2000, out_channels).astype(np.int32),
        shift=int(rng.integers(1, 20)),
        **options,
    )


def dense_weights(conv, seed, channels):
    """Return the weights with zeros between the taps and beside a group, (O, SH, SW, C)."""
    weights = signs(seed, conv.index, conv.mask.shape) * conv.mask
    if conv.sign is not None:
        weights = conv.mask - 2 * conv.sign.astype(np.int64)
    dense = np.zeros((conv.out_channels, *conv.span, channels), np.int64)
    (dy, dx), group = conv.dilation, channels // conv.groups
    for o, own in enumerate(weights):
        first = o // (conv.out_channels // conv.groups) * group
        dense[o, ::dy, ::dx, first : first + group] = own
    return dense


def reference(conv, seed, x):
    """Convolve a padded copy with dense weights, window by window."""
    weights = dense_weights(conv, seed, x.shape[3])
    (top, left, bottom, right), (height, width) = conv.padding, conv.span
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))).astype(np.int64)
    _, lines, columns, _ = shape = (len(x), *conv.output_shape(x.shape[1:]))
    output = np.empty(shape, np.int64)
    for line, column in np.ndindex(lines, columns):
        y, x = line * conv.stride[0], column * conv.stride[1]
        window = padded[:, y : y + height, x : x + width]
        v = (np.einsum("nyxc,oyxc->no", window, weights) + conv.bias) * conv.scale
        output[:, line, column] = v + (1 << (conv.shift - 1)) >> conv.shift
    limits = np.iinfo(conv.output)
    return np.clip(output, limits.min, limits.max)


def random_convs(seed, count):
    """Yield (conv, input): kernels smaller and larger than the map, dilated ones, and groups."""
    rng = np.random.default_rng(seed)
    while count:
        images, height, width, group = (int(size) for size in rng.integers(1, 9, 4))
        groups = int(rng.choice([1, 1, 2, 3, 8]))
        kernel = tuple(int(size) for size in rng.integers(1, rng.choice([4, 14]), 2))
        dilation = tuple(int(size) for size in rng.integers(1, rng.choice([2, 4, 12]), 2))
        span = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
        padding = tuple(int(rng.integers(0, size)) for size in span * 2)
        if (span > np.add((height, width), np.add(padding[:2], padding[2:]))).any():
            continue
        options = {"padding": padding, "stride": tuple(rng.integers(1, 6, 2)), "groups": groups}
        options |= {"dilation": dilation, "output": str(rng.choice(["uint8", "int8", "int32"]))}
        out_channels = groups * int(rng.integers(1, 4))
        if rng.random() < 0.5:
            options["mask"] = rng.random((out_channels, *kernel, group)) < rng.random()
            options["sign"] = options["mask"] & (rng.random(options["mask"].shape) < 0.5)
        x = rng.integers(0, 256, (images, height, width, group * groups)).astype(np.uint8)
        yield make(rng, kernel, group, out_channels, **options), x.view(rng.choice(["u1", "i1"]))
        count -= 1


@pytest.mark.parametrize("block_bytes", [1, 3000, 2**26])
def test_convs_are_those_of_a_padded_map(monkeypatch, block_bytes):
    monkeypatch.setattr(convolution, "BLOCK_BYTES", block_bytes)
    for seed, (conv, x) in enumerate(random_convs(3, 200)):
        output = convolve(conv, Weights(seed).matrices(conv), x)
        assert output.dtype == conv.output
        np.testing.assert_array_equal(output, reference(conv, seed, x), err_msg=repr(conv))


def test_convs_are_those_of_pytorch():
    reason = "convs are not compared with PyTorch: it is not installed"
    torch = pytest.importorskip("torch", reason=reason)
    for seed, (conv, x) in enumerate(random_convs(8, 200)):
        weights = signs(seed, conv.index, conv.mask.shape) * conv.mask.astype(np.float64)
        if conv.sign is not None:
            weights = conv.mask - 2.0 * conv.sign
        top, left, bottom, right = conv.padding
        accumulators = torch.nn.functional.conv2d(
            torch.nn.functional.pad(
                torch.tensor(x.astype(np.float64)).permute(0, 3, 1, 2), (left, right, top, bottom)
            ),
            torch.tensor(weights).permute(0, 3, 1, 2),
            stride=conv.stride,
            dilation=conv.dilation,
            groups=conv.groups,
        )
        # Whole numbers far below 2**53, and a division by a power of two: all of it is exact.
        v = (accumulators.permute(0, 2, 3, 1).numpy() + conv.bias) * conv.scale
        limits = np.iinfo(conv.output)
        expected = np.clip(np.floor(v / 2**conv.shift + 0.5), limits.min, limits.max)
        output = convolve(conv, Weights(seed).matrices(conv), x)
        np.testing.assert_array_equal(output, expected, err_msg=repr(conv))


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


@pytest.mark.parametrize("dilation", [1000, 2**70])
def test_large_dilations_take_no_memory(dilation):
    rng = np.random.default_rng(9)
    # Taps lie this far apart; in between, some windows have none on the map.
    padding = (2 * dilation, 0, 2 * dilation, 0)
    stride = dilation // 4
    options = {"padding": padding, "dilation": (dilation, 1), "stride": (stride, 1)}
    conv = make(rng, (3, 1), 2, 3, mask=np.ones((3, 3, 1, 2), bool), **options)
    images = rng.integers(0, 256, (1, 1, 2000, 2)).astype(np.uint8)
    matrices = Weights(5).matrices(conv)
    with at_most(20 * 2**20):
        output = convolve(conv, matrices, images)
    assert output.shape == (1, 9, 2000, 3)
    weights = matrices[0].reshape(3, 2, 3).astype(np.int64)
    for line in range(9):
        # Where the map's only line is, in taps.
        tap, between = divmod(2 * dilation - line * stride, dilation)
        acc = np.zeros((2000, 3), np.int64) if between else images[0, 0] @ weights[tap]
        v = (acc + conv.bias) * conv.scale + (1 << (conv.shift - 1)) >> conv.shift
        np.testing.assert_array_equal(output[0, line], np.clip(v, 0, 255))


def test_many_groups_take_little_time():
    rng = np.random.default_rng(2)
    channels = 20_000
    conv = make(rng, (3, 3), 1, channels, groups=channels, padding=1)
    images = rng.integers(0, 256, (1, 4, 4, channels)).astype(np.uint8)
    matrices = Weights(5).matrices(conv)
    began = time.process_time()
    output = convolve(conv, matrices, images)
    assert time.process_time() - began < 2
    some = [0, 1, 9_999, 19_999]
    own = make(rng, (3, 3), 1, 4, groups=4, padding=1, mask=conv.mask[some])
    own = replace(
        own, scale=conv.scale[some], bias=conv.bias[some], shift=conv.shift, index=conv.index
    )
    np.testing.assert_array_equal(
        output[..., some], convolve(own, matrices[some], images[..., some])
    )


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


def test_learned_signs_and_groups_have_weights_of_their_own():
    rng = np.random.default_rng(6)
    mask = rng.random((4, 3, 3, 2)) < 0.5
    mask.setflags(write=False)
    weights = Weights(1)
    options = {"mask": mask, "out_channels": 4}
    generated = weights.matrices(make(rng, (3, 3), 2, **options))
    for signs_of in (mask, np.zeros_like(mask)):
        conv = make(rng, (3, 3), 2, sign=signs_of, **options)
        expected = np.where(signs_of, -1, mask).reshape(1, 4, -1).swapaxes(1, 2)
        np.testing.assert_array_equal(weights.matrices(conv), expected)
    conv = make(rng, (3, 3), 2, groups=2, **options)
    assert weights.matrices(conv).shape == (2, 18, 2)
    assert generated.shape == (1, 18, 4)
    # Learned signs are the same whatever the index.
    one = make(rng, (3, 3), 2, sign=mask, **options)
    other = replace(one, index=one.index + 1, sign=one.sign)
    assert weights.matrices(one) is weights.matrices(other)
