import numpy as np
import pytest
from memory import at_most

from hiddenite.golden import pooling
from hiddenite.golden.network import AvgPool, MaxPool
from hiddenite.golden.pooling import avg_pool, max_pool


def reference(pool, x):
    """Pool a padded copy, window by window."""
    limits = np.iinfo(x.dtype)
    # Where windows have pixels, padding of the least value is no maximum.
    outside = limits.min if isinstance(pool, MaxPool) else 0
    (top, left, bottom, right), (height, width) = pool.padding, pool.kernel
    sides = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded = np.pad(x, sides, constant_values=outside).astype(np.int64)
    _, lines, columns, _ = shape = (len(x), *pool.output_shape(x.shape[1:]))
    output = np.empty(shape, np.int64)
    for line, column in np.ndindex(lines, columns):
        y, x = line * pool.stride[0], column * pool.stride[1]
        window = padded[:, y : y + height, x : x + width]
        if isinstance(pool, MaxPool):
            output[:, line, column] = window.max((1, 2))
        else:
            v = window.sum((1, 2)) * pool.scale + (1 << (pool.shift - 1)) >> pool.shift
            output[:, line, column] = np.clip(v, limits.min, limits.max)
    return output


def random_pools(seed, count):
    """Yield pools, and images for them; kernels are smaller or larger than the map."""
    rng = np.random.default_rng(seed)
    while count:
        _, height, width, _ = shape = rng.integers(1, 9, 4)
        kernel = tuple(rng.integers(1, rng.choice([4, 14]), 2))
        padding = tuple(int(rng.integers(0, size)) for size in kernel * 2)
        if (np.array(kernel) > np.add((height, width), np.add(padding[:2], padding[2:]))).any():
            continue
        options = {"name": "p", "input": "x", "kernel": kernel, "padding": padding}
        options["stride"] = tuple(rng.integers(1, 6, 2))
        average = {"scale": int(rng.integers(1, 2**15)), "shift": int(rng.integers(1, 25))}
        images = rng.integers(0, 256, shape).astype(np.uint8).view(rng.choice(["uint8", "int8"]))
        yield MaxPool(**options), AvgPool(**options, **average), images
        count -= 1


@pytest.mark.parametrize("block_bytes", [1, 2**26])
def test_pools_are_those_of_a_padded_map(monkeypatch, block_bytes):
    monkeypatch.setattr(pooling, "BLOCK_BYTES", block_bytes)
    for largest, average, images in random_pools(1, 200):
        for function, pool in ((max_pool, largest), (avg_pool, average)):
            output = function(pool, images)
            assert output.dtype == images.dtype
            np.testing.assert_array_equal(output, reference(pool, images), err_msg=repr(pool))


def test_padding_of_signed_pools():
    images = np.array([[[[-4], [8]], [[-12], [-128]]]], np.int8)
    window = {"name": "p", "input": "x", "kernel": 2, "stride": 2, "padding": 1}
    # Padding is never a maximum; in averages it is 0.
    assert max_pool(MaxPool(**window), images).ravel().tolist() == [-4, 8, -12, -128]
    average = AvgPool(scale=4, shift=4, **window)
    assert avg_pool(average, images).ravel().tolist() == [-1, 2, -3, -32]


def test_averages_are_clipped_to_the_type():
    pool = AvgPool(name="p", input="x", kernel=1, scale=32_767, shift=1)
    for dtype, ends in ((np.int8, [-128, 127]), (np.uint8, [0, 255])):
        images = np.array([[[[ends[0]], [0], [ends[1]]]]], dtype)
        assert avg_pool(pool, images).ravel().tolist() == [ends[0], 0, ends[1]]


# One pixel, one line and one column of pixels, and a map whose windows all reach beyond it.
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (40, 30)])
@pytest.mark.parametrize("size", [65_535, 2**70])
def test_time_and_memory_are_those_of_the_map(shape, size):
    images = np.random.default_rng(2).integers(0, 256, (1, *shape, 2)).astype(np.uint8)
    # Strides that leave few outputs.
    stride = [(extent + 2 * (size - 1) - size) // 9 + 1 for extent in shape]
    options = {"name": "p", "input": "x", "kernel": size, "padding": size - 1, "stride": stride}
    with at_most(2**20):
        largest = max_pool(MaxPool(**options), images)
        average = avg_pool(AvgPool(**options, scale=1, shift=1), images)
    assert largest.shape == average.shape == (1, 9, 9, 2)
    # The outputs in the middle see all of the map.
    np.testing.assert_array_equal(largest[0, 4, 4], images.max((0, 1, 2)))
    total = images.astype(np.int64).sum((0, 1, 2))
    np.testing.assert_array_equal(average[0, 4, 4], np.minimum((total + 1) >> 1, 255))


def test_outputs_may_be_many_more_than_pixels():
    images = np.full((1, 1, 2000, 1), 7, np.uint8)
    options = {"name": "p", "input": "x", "kernel": (2000, 2000), "padding": (1999, 0)}
    with at_most(4 * 2**20):
        output = max_pool(MaxPool(**options, stride=1), images)
    assert output.shape == (1, 2000, 1, 1) and (output == 7).all()
