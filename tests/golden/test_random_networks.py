import numpy as np
import pytest
from random_networks import MAX_AVG_POOL_AREA, random_images, random_network

from hiddenite.golden.inference import infer_layers
from hiddenite.golden.network import AvgPool, Conv, MaxPool

DRAWS = 400


@pytest.fixture(scope="module")
def networks():
    rng = np.random.default_rng(2024)
    return [random_network(rng) for _ in range(DRAWS)]


def layer_features(network, layer):
    """Yield what is special about one layer."""
    height, width, channels = network.shapes[layer.input]
    (kernel_height, kernel_width), padding = layer.kernel, layer.padding[:2]
    yield layer.op
    checks = {
        "rectangular kernel": kernel_height != kernel_width,
        "whole map": layer.kernel == (height, width) and padding == (0, 0) and height * width > 1,
        "rectangular stride": layer.stride[0] != layer.stride[1],
        "stride larger than kernel": layer.stride[0] > kernel_height,
        "overlap": layer.stride[0] < kernel_height,
        "padding": max(padding) > 0,
        "largest padding": max(padding) > 0 and padding[0] == kernel_height - 1,
        "rectangular padding": padding[0] != padding[1],
        "kernel larger than map": kernel_height > height,
        "map of one pixel": height == width == 1,
    }
    yield from (f"{layer.op}: {name}" for name, found in checks.items() if found)
    yield from (f"{layer.op}: stride {stride}" for stride in layer.stride)
    if isinstance(layer, AvgPool | Conv) and layer.shift in (1, 24):
        yield f"{layer.op}: shift {layer.shift}"
    if isinstance(layer, Conv):
        yield from conv_features(network, layer)
        yield f"input channels {channels}"


def conv_features(network, conv):
    kept = conv.mask.sum(axis=(1, 2, 3))
    limits = np.iinfo(np.int32)
    checks = {
        "empty layer": not kept.any(),
        "empty channel": kept.any() and not kept.all(),
        "full layer": conv.mask.all(),
        "negative scale": (conv.scale < 0).any(),
        "zero scale": (conv.scale == 0).any(),
        "smallest scale": (conv.scale == -32_768).any(),
        "largest scale": (conv.scale == 32_767).any(),
        "smallest bias": (conv.bias == limits.min).any(),
        "largest bias": (conv.bias == limits.max).any(),
        "residual": conv.residual is not None,
        "residual is image": conv.residual == network.input.name,
        "residual is input": conv.residual == conv.input,
        "residual scale 0": conv.residual_scale == 0,
        "largest residual scale": conv.residual_scale == 2**24 - 1,
        "int32": conv.output == "int32",
    }
    yield from (name for name, found in checks.items() if found)


def network_features(network):
    """Yield what is special about the relations between a network's layers."""
    for layer in network.layers:
        yield from layer_features(network, layer)
    convs = [layer for layer in network.layers if isinstance(layer, Conv)]
    for number, conv in enumerate(convs):
        for other in convs[:number]:
            if conv.index == other.index:
                same = np.array_equal(conv.mask, other.mask)
                yield "shared weights" if same else "shared index only"
    for name in network.shapes:
        readers = [layer for layer in network.layers if name in layer.inputs]
        if len({layer.stride for layer in readers if layer.input == name}) > 1:
            yield "two readers with different strides"
        if not readers and name not in (network.input.name, network.layers[-1].name):
            yield "dead layer"
    yield f"layers {len(network.layers)}"
    yield from (f"seed {s}" for s in (0, 2**32 - 1) if network.seed == s)


WINDOWS = [
    *("rectangular kernel", "whole map", "rectangular stride", "stride larger than kernel"),
    *("overlap", "padding", "largest padding", "rectangular padding", "kernel larger than map"),
    *("map of one pixel", "stride 1", "stride 2", "stride 3", "stride 4"),
]
FEATURES = [
    *(f"{op}: {window}" for op in ("conv", "max_pool", "avg_pool") for window in WINDOWS),
    *(f"{op}: shift {shift}" for op in ("conv", "avg_pool") for shift in (1, 24)),
    *("empty layer", "empty channel", "full layer", "negative scale", "zero scale"),
    *("smallest scale", "largest scale", "smallest bias", "largest bias", "int32"),
    *("residual", "residual is image", "residual is input", "residual scale 0"),
    *("largest residual scale", "shared weights", "shared index only", "dead layer"),
    *("two readers with different strides", "seed 0", f"seed {2**32 - 1}"),
    *(f"layers {count}" for count in range(1, 7)),
    *(f"input channels {channels}" for channels in (1, 3, 5, 7, 9, 13, 17, 20)),
]


def test_every_feature_occurs(networks):
    found = {feature for network in networks for feature in network_features(network)}
    assert sorted(set(FEATURES) - found) == []


def test_limits():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        weights, pixels = int(rng.integers(1, 1000)), int(rng.integers(1, 60))
        network = random_network(rng, max_weights=weights, max_pixels=pixels, max_layers=4)
        convs = [layer for layer in network.layers if isinstance(layer, Conv)]
        assert sum(conv.mask.size for conv in convs) <= weights
        assert max(height * width for height, width, _ in network.shapes.values()) <= pixels
        assert len(network.layers) <= 4
        for layer in network.layers:
            if isinstance(layer, AvgPool):
                assert layer.kernel[0] * layer.kernel[1] <= MAX_AVG_POOL_AREA
        assert all(conv.output == "uint8" for conv in convs if conv is not network.layers[-1])


def test_same_seed_same_network():
    first, second = (random_network(np.random.default_rng(9)) for _ in range(2))
    assert first == second


def test_outputs_spread(networks):
    rng = np.random.default_rng(1)
    constant, inside = [], []
    for network in networks:
        results = infer_layers(network, random_images(rng, network, 6))
        for layer in network.layers:
            values = results[layer.name]
            constant.append((values == values.flat[0]).all())
            if isinstance(layer, Conv) and layer.output == "uint8":
                inside.append(np.mean((values > 0) & (values < 255)))
    assert np.mean(constant) < 0.1
    assert np.mean(inside) > 0.6


def test_images(networks):
    rng = np.random.default_rng(1)
    network = next(n for n in networks if isinstance(n.layers[0], MaxPool))
    images = random_images(rng, network, 50)
    assert images.dtype == np.uint8
    assert images.shape == (50, *network.input.shape)
    assert len(np.unique(images)) > 100
