from itertools import pairwise

import numpy as np
import pytest
import shared_networks
from memory import at_most
from plain_reference import reference
from random_networks import VERSION_1, VERSION_2, random_images, random_network

from hiddenite.golden import convolution, inference, joining, pooling
from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import check_images, infer, infer_layers
from hiddenite.golden.network import Add, AvgPool, Concat, Conv, Input, MaxPool, Network
from hiddenite.golden.weights import signs


def check_against_reference(network, images, where):
    """Compare every tensor with those of the plain reference."""
    results = infer_layers(network, images)
    assert {name: str(values.dtype) for name, values in results.items()} == network.types
    for number, image in enumerate(images):
        for name, expected in reference(network, image).items():
            np.testing.assert_array_equal(
                results[name][number], expected, err_msg=f"{where}, image {number}, tensor {name}"
            )


@pytest.mark.parametrize("features", [VERSION_1, VERSION_2], ids=["1", "2"])
@pytest.mark.parametrize("first_seed", range(0, 300, 20))
def test_random_networks_against_reference(features, first_seed):
    for seed in range(first_seed, first_seed + 20):
        rng = np.random.default_rng(seed)
        network = random_network(rng, features=features, max_weights=500, max_pixels=30)
        check_against_reference(network, random_images(rng, network, 2), f"seed {seed}")


@pytest.mark.parametrize("name", ["digits", "fashion", "cifar"])
def test_trained_networks(name, trained, trained_folder):
    network, images, expected = trained(name)
    result = infer(network, images)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)
    layers = np.load(trained_folder(name) / "layers-of-image-0.npz")
    results = infer_layers(network, images[:1])
    assert list(results) == list(layers)
    for tensor, value in layers.items():
        np.testing.assert_array_equal(results[tensor][0], value, err_msg=tensor)


def make_conv(*, out_channels=1, channels=1, scale=2, bias=0, **values):
    """Return a conv, by default one whose output is the sum of its accumulator and its bias."""
    values = {"name": "c", "input": "image", "index": 0, "kernel": 1, "shift": 1} | values
    values.setdefault("mask", np.ones((out_channels, 1, 1, channels), bool))
    return Conv(
        out_channels=out_channels,
        scale=np.full(out_channels, scale, np.int16),
        bias=np.full(out_channels, bias, np.int32),
        **values,
    )


def make_network(*layers, height=1, width=1, channels=1, seed=1, type="uint8"):
    image = Input(name="image", height=height, width=width, channels=channels, type=type)
    return Network(name="test", seed=seed, input=image, layers=layers)


@pytest.mark.parametrize(
    ("bias", "scale", "shift", "output", "expected"),
    [
        (3, 1, 1, "uint8", 2),  # 1.5 rounds up
        (-3, 1, 1, "int32", -1),  # -1.5 as well
        (-1, 1, 2, "int32", 0),
        (2**31 - 1, 32_767, 1, "int32", 2**31 - 1),
        (2**31 - 1, -32_768, 1, "int32", -(2**31)),
        (-(2**31), -32_768, 1, "int32", 2**31 - 1),
        (-(2**31), -32_768, 24, "int32", 2**22),
        (2**31 - 1, 1, 24, "uint8", 128),
        (255, 2, 1, "uint8", 255),
        (256, 2, 1, "uint8", 255),
        (-1, 2, 1, "uint8", 0),
        (-3, 1, 1, "int8", -1),
        (127, 2, 1, "int8", 127),
        (128, 2, 1, "int8", 127),
        (-128, 2, 1, "int8", -128),
        (-129, 2, 1, "int8", -128),
        (-(2**31), 32_767, 24, "int8", -128),
    ],
)
def test_arithmetic_at_its_ends(bias, scale, shift, output, expected):
    network = make_network(make_conv(bias=bias, scale=scale, shift=shift, output=output))
    assert infer(network, np.zeros((1, 1, 1, 1), np.uint8)).tolist() == [[[[expected]]]]


def test_largest_residual():
    conv = make_conv(
        bias=2**31 - 1,
        scale=32_767,
        shift=24,
        output="int32",
        residual="image",
        residual_scale=2**24 - 1,
        mask=np.zeros((1, 1, 1, 1), bool),
    )
    v = (2**31 - 1) * 32_767 + 255 * (2**24 - 1)
    expected = (v + 2**23) >> 24
    assert infer(make_network(conv), np.full((1, 1, 1, 1), 255, np.uint8)).item() == expected


@pytest.mark.parametrize("kept", [65_793, 65_794, 140_001])  # 255 * 65,793 is 2**24 - 1
def test_accumulators_around_the_end_of_float32(kept):
    shape = (1, 1, 300, 1000)
    mask = signs(1, 0, shape) > 0  # only weights of +1, for the largest sum
    mask &= np.cumsum(mask).reshape(shape) <= kept
    assert mask.sum() == kept
    conv = make_conv(kernel=(1, 300), channels=1000, mask=mask, output="int32")
    images = np.full(shape, 255, np.uint8)
    total = 255 * kept
    if total % 2 == 0:  # an odd sum above 2**24 is none of float32
        images[0, 0, 0, np.flatnonzero(mask[0, 0, 0])[0]] = 254
        total -= 1
    assert infer(make_network(conv, width=300, channels=1000), images).item() == total


def test_padding_counts_as_zero_in_pools():
    common = {"input": "image", "kernel": 2, "stride": 2, "padding": 1}
    network = make_network(
        MaxPool(name="m", **common),
        AvgPool(name="a", scale=4, shift=4, **common),
        height=2,
        width=2,
    )
    images = np.array([[[[4], [8]], [[12], [255]]]], np.uint8)
    results = infer_layers(network, images)
    assert results["m"].ravel().tolist() == [4, 8, 12, 255]
    assert results["a"].ravel().tolist() == [1, 2, 3, 64]


def test_largest_sums_of_signed_activations():
    # Every weight is -1 and every activation -128: sums go up to +128 for each.
    shape = (1, 1, 300, 1000)
    ones = np.ones(shape, bool)
    conv = make_conv(kernel=(1, 300), channels=1000, mask=ones, sign=ones, output="int32")
    network = make_network(conv, width=300, channels=1000, type="int8")
    assert infer(network, np.full(shape, -128, np.int8)).item() == 128 * 300_000


def test_stride_larger_than_kernel():
    pool = MaxPool(name="m", input="image", kernel=1, stride=(3, 4))
    network = make_network(pool, height=7, width=9)
    images = np.arange(63, dtype=np.uint8).reshape(1, 7, 9, 1)
    assert infer(network, images).ravel().tolist() == [0, 4, 8, 27, 31, 35, 54, 58, 62]


@pytest.mark.parametrize("features", [VERSION_1, VERSION_2], ids=["1", "2"])
def test_batches_and_blocks_do_not_change_results(monkeypatch, features):
    rng = np.random.default_rng(5)
    networks = [random_network(rng, features=features) for _ in range(20)]
    images = [random_images(rng, network, 7) for network in networks]
    results = [infer_layers(*case) for case in zip(networks, images, strict=True)]
    monkeypatch.setattr(inference, "MAX_BATCH", 3)
    for block_bytes in (1, 10_000):  # one output pixel at a time, then a few
        monkeypatch.setattr(convolution, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(pooling, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(joining, "BLOCK_BYTES", block_bytes)
        for network, x, expected in zip(networks, images, results, strict=True):
            result = infer_layers(network, x)
            assert all(np.array_equal(result[name], expected[name]) for name in expected)


def test_progress_counts_images(monkeypatch):
    monkeypatch.setattr(inference, "MAX_BATCH", 4)
    done = []
    infer(make_network(make_conv()), np.zeros((10, 1, 1, 1), np.uint8), progress=done.append)
    assert done == [4, 8, 10]


def test_no_images():
    network = make_network(make_conv(out_channels=3))
    assert infer(network, np.zeros((0, 1, 1, 1), np.uint8)).shape == (0, 1, 1, 3)


def test_some_layers_only():
    network = make_network(make_conv(name="a"), make_conv(name="b"), make_conv(name="c"))
    images = np.full((2, 1, 1, 1), 9, np.uint8)
    assert list(infer_layers(network, images, ["b", "image"])) == ["image", "b"]
    with pytest.raises(InputError) as error:
        infer_layers(network, images, ["d"])
    assert str(error.value) == "network 'test': tensor must be one of image, a, b, c, not 'd'"


def test_images_are_not_changed_or_shared():
    network = make_network(MaxPool(name="m", input="image", kernel=1))
    images = np.full((2, 1, 1, 1), 9, np.uint8)
    results = infer_layers(network, images)
    results["m"][:] = results["image"][:] = 0
    assert (images == 9).all()


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (np.zeros((1, 2, 3, 4), np.float32), "float32 of shape (1, 2, 3, 4)"),
        (np.zeros((1, 2, 3, 4), bool), "bool of shape (1, 2, 3, 4)"),
        (np.zeros((2, 3, 4), np.uint8), "uint8 of shape (2, 3, 4)"),
        (np.zeros((1, 3, 2, 4), np.uint8), "uint8 of shape (1, 3, 2, 4)"),
        ([[0]], "list"),
    ],
)
def test_wrong_images(images, found):
    network = make_network(make_conv(channels=4), height=2, width=3, channels=4)
    message = f"images for network 'test' must be uint8 of shape (N, 2, 3, 4), not {found}"
    for function in (check_images, infer, infer_layers):
        with pytest.raises(InputError) as error:
            function(network, images)
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("dtype", "type", "found"),
    [(np.uint8, "int8", "uint8"), (np.int8, "uint8", "int8"), (np.int16, "int8", "int16")],
)
def test_images_of_the_wrong_type(dtype, type, found):
    network = make_network(make_conv(), type=type)
    for function in (check_images, infer, infer_layers):
        with pytest.raises(InputError) as error:
            function(network, np.zeros((2, 1, 1, 1), dtype))
        assert str(error.value) == (
            f"images for network 'test' must be {type} of shape (N, 1, 1, 1), not {found} of shape"
            " (2, 1, 1, 1)"
        )


def test_layers_that_share_weights_share_them_in_memory():
    mask = np.random.default_rng(7).random((1024, 1, 1, 1024)) < 0.5
    mask.setflags(write=False)
    options = {"kernel": 1, "out_channels": 1024, "mask": mask, "scale": np.ones(1024, np.int16)}
    options |= {"bias": np.ones(1024, np.int32), "shift": 8}
    names = ["image", *(f"c{number}" for number in range(60))]
    layers = [Conv(name=name, input=before, index=3, **options) for before, name in pairwise(names)]
    image = Input(name="image", height=1, width=1, channels=1024)
    network = Network(name="folded", seed=1, input=image, layers=layers)
    images = np.full((2, 1, 1, 1024), 100, np.uint8)
    # Weights of all layers would take 240 MiB, 4 MiB each.
    with at_most(40 * 2**20):
        result = infer(network, images)
    assert result.shape == (2, 1, 1, 1024)


def test_activations_beyond_all_memory_are_refused():
    # 65,535 x 65,535 from a single pixel.
    pool = MaxPool(name="p", input="image", kernel=65_535, stride=1, padding=65_534)
    network = make_network(pool)
    with pytest.raises(InputError) as caught:
        infer(network, np.zeros((1, 1, 1, 1), np.uint8))
    assert str(caught.value) == (
        "layer 'p': activations of an image, with those for later layers, must be at most"
        " 268,435,456 to be computed, not 4,294,836,226"
    )


def test_a_pool_of_the_largest_kernel_on_a_single_pixel():
    pool = AvgPool(
        name="p", input="image", kernel=65_535, stride=131_068, padding=65_534, scale=1, shift=1
    )
    images = np.full((3, 1, 1, 1), 9, np.uint8)
    with at_most(2**20):
        assert (infer(make_network(pool), images) == 5).all()


@pytest.mark.parametrize("name", shared_networks.VERSION_2)
def test_networks_of_version_2(name, trained):
    network, images, expected = trained(name)
    result = infer(network, images)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_tensors_that_wait_make_batches_smaller():
    # 400 of them, of 60,000 activations each; 128 images at once would take 3 GB.
    count = 400
    pools = [MaxPool(name=f"p{number}", input="image", kernel=1) for number in range(count)]
    factors = {"scale": 1, "residual_scale": 1, "shift": 1}
    adds = [
        Add(name=f"a{number}", input=f"p{number}", residual=before, **factors)
        for number, before in enumerate(["image", *(f"a{number}" for number in range(count - 1))])
    ]
    network = make_network(*pools, *adds, height=100, width=600)
    with at_most(400 * 2**20):
        result = infer(network, np.full((8, 100, 600, 1), 200, np.uint8))
    assert (result == 200).all()


def test_concats_of_concats_are_refused_before_they_are_computed():
    layers, before = [], "image"
    for number in range(2):
        layers.append(Concat(name=f"k{number}", inputs=[before] * 64))
        before = f"k{number}"
    network = make_network(*layers, height=1000, width=1000)
    with pytest.raises(InputError) as error:
        infer(network, np.zeros((1, 1000, 1000, 1), np.uint8))
    assert str(error.value) == (
        "layer 'k1': activations of an image, with those for later layers, must be at most"
        " 268,435,456 to be computed, not 4,160,000,000"
    )
