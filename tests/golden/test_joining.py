import numpy as np
import pytest
from memory import at_most

from hiddenite.golden import joining
from hiddenite.golden.joining import add, upsample
from hiddenite.golden.network import Add, Upsample


def make_add(**values):
    values = {"scale": 1, "residual_scale": 1, "shift": 1} | values
    return Add(name="a", input="x", residual="y", **values)


@pytest.mark.parametrize(
    ("x", "residual", "scale", "residual_scale", "shift", "output", "expected"),
    [
        (3, 0, 1, 5, 1, "uint8", 2),  # 1.5 rounds up
        (-3, 0, 1, 5, 1, "int8", -1),  # -1.5 as well
        (-3, 0, 1, 5, 1, "uint8", 0),
        (-128, 0, 32_767, 0, 24, "int8", 0),
        (-128, 255, 32_767, 2**24 - 1, 24, "uint8", 255),
        (-128, -128, 32_767, 2**24 - 1, 24, "int8", -128),
        (127, -1, 2, 2, 1, "int8", 126),
        (127, 127, 2, 2, 1, "int8", 127),
        (127, 127, 2, 2, 1, "uint8", 254),
        (255, 255, 32_767, 2**24 - 1, 1, "uint8", 255),
        (255, 255, 32_767, 2**24 - 1, 1, "int8", 127),
    ],
)
def test_add_at_its_ends(x, residual, scale, residual_scale, shift, output, expected):
    layer = make_add(scale=scale, residual_scale=residual_scale, shift=shift, output=output)
    tensors = [
        np.full((1, 1, 1, 1), value, np.uint8 if value > 127 else np.int8)
        for value in (x, residual)
    ]
    result = add(layer, *tensors)
    assert (result.dtype, result.item()) == (output, expected)


@pytest.mark.parametrize("block_bytes", [1, 100, 2**26])
def test_adds_are_those_of_wide_integers(monkeypatch, block_bytes):
    monkeypatch.setattr(joining, "BLOCK_BYTES", block_bytes)
    rng = np.random.default_rng(1)
    for _ in range(50):
        shape = tuple(rng.integers(1, 6, 4))
        types = rng.choice(["uint8", "int8"], 3)
        x, y = (rng.integers(0, 256, shape).astype(np.uint8).view(kind) for kind in types[:2])
        shift = int(rng.integers(1, 25))
        scales = {"scale": int(rng.integers(1, 2**15)), "residual_scale": int(rng.integers(2**24))}
        layer = make_add(shift=shift, output=str(types[2]), **scales)
        v = x.astype(object) * layer.scale + y.astype(object) * layer.residual_scale
        limits = np.iinfo(types[2])
        expected = np.clip(v + 2 ** (shift - 1) >> shift, limits.min, limits.max)
        np.testing.assert_array_equal(add(layer, x, y), expected.astype(int))


def test_upsample_repeats_pixels():
    layer = Upsample(name="u", input="x", factor=(2, 3))
    x = np.array([[[[1, -1], [2, -2]], [[3, -3], [4, -4]]]], np.int8)
    result = upsample(layer, x)
    assert result.dtype == np.int8
    assert result[0, :, :, 0].tolist() == [[1, 1, 1, 2, 2, 2]] * 2 + [[3, 3, 3, 4, 4, 4]] * 2
    np.testing.assert_array_equal(result[..., 1], -result[..., 0])


def test_memory_is_that_of_the_output_and_a_block():
    x = np.zeros((1, 2000, 2000, 4), np.uint8)
    with at_most(x.nbytes + 2 * joining.BLOCK_BYTES):
        add(make_add(), x, x)
    with at_most(4 * x.nbytes + 2**20):
        upsample(Upsample(name="u", input="x", factor=2), x)
