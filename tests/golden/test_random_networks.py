import numpy as np
import pytest
from random_networks import (
    MAX_AVG_POOL_AREA,
    VERSION_1,
    VERSION_2,
    Feature,
    random_images,
    random_network,
    random_residual_network,
)

from hiddenite.golden.inference import infer_layers
from hiddenite.golden.layers import LAYER_CLASSES
from hiddenite.golden.network import Add, AvgPool, Concat, Conv, MaxPool, Upsample, Window

DRAWS = 400
NEWER_DRAWS = 1000


@pytest.fixture(scope="module")
def networks():
    rng = np.random.default_rng(2024)
    return [random_network(rng) for _ in range(DRAWS)]


@pytest.fixture(scope="module")
def newer_networks():
    rng = np.random.default_rng(2025)
    return [random_network(rng, features=VERSION_2, max_layers=9) for _ in range(NEWER_DRAWS)]


def window_features(network, layer):
    """Yield what is special about the window of one layer."""
    height, width, _ = network.shapes[layer.input]
    (kernel_height, kernel_width), padding = layer.kernel, layer.padding
    checks = {
        "rectangular kernel": kernel_height != kernel_width,
        "whole map": layer.kernel == (height, width) and not any(padding) and height * width > 1,
        "rectangular stride": layer.stride[0] != layer.stride[1],
        "stride larger than kernel": layer.stride[0] > kernel_height,
        "overlap": layer.stride[0] < kernel_height,
        "padding": max(padding) > 0,
        "largest padding": max(padding) > 0 and padding[0] == layer.span[0] - 1,
        "rectangular padding": padding[0] != padding[1],
        "kernel larger than map": kernel_height > height,
        "map of one pixel": height == width == 1,
        "padding only above": padding[0] and not padding[2],
        "padding only below": padding[2] and not padding[0],
        "padding only left": padding[1] and not padding[3],
        "padding only right": padding[3] and not padding[1],
        "int8": network.types[layer.input] == "int8",
        "int8 and padding": network.types[layer.input] == "int8" and any(padding),
    }
    yield from (f"{layer.op}: {name}" for name, found in checks.items() if found)
    yield from (f"{layer.op}: stride {stride}" for stride in layer.stride)


def layer_features(network, layer):
    """Yield what is special about one layer."""
    yield layer.op
    if isinstance(layer, Window):
        yield from window_features(network, layer)
    if isinstance(layer, AvgPool | Conv | Add) and layer.shift in (1, 24):
        yield f"{layer.op}: shift {layer.shift}"
    types = [network.types[name] for name in layer.inputs]
    if isinstance(layer, Conv):
        yield from conv_features(network, layer)
        yield f"input channels {network.shapes[layer.input][2]}"
    if isinstance(layer, Conv | Add):
        yield f"{layer.op}: {' + '.join(types)} to {layer.output}"
    if isinstance(layer, Add):
        yield from (f"add: scale {scale}" for scale in (1, 32_767) if layer.scale == scale)
        yield from (f"add: residual scale {s}" for s in (0, 2**24 - 1) if layer.residual_scale == s)
        if layer.input == layer.residual:
            yield "add: a tensor to itself"
    if isinstance(layer, Concat):
        channels = [network.shapes[name][2] for name in layer.inputs]
        checks = {
            "one tensor": len(channels) == 1,
            "many tensors": len(channels) > 4,
            "repeats": len(set(layer.inputs)) < len(channels),
            "parts of no whole words": len(channels) > 1 and any(c % 4 for c in channels[:-1]),
            "of a concat": any(isinstance(made(network, n), Concat) for n in layer.inputs),
            types[0]: True,
        }
        yield from (f"concat: {name}" for name, found in checks.items() if found)
    if isinstance(layer, Upsample):
        yield f"upsample: {types[0]}"
        yield from (f"upsample: factor {factor}" for factor in layer.factor)
    for name in layer.inputs:
        source = made(network, name)
        yield f"{layer.op} after {'image' if source is None else source.op}"
        if isinstance(source, Upsample) and isinstance(layer, Window) and layer.stride[0] > 1:
            yield f"strided {layer.op} after upsample"


def made(network, name):
    """Return the layer that makes a tensor, None for the image."""
    return next((layer for layer in network.layers if layer.name == name), None)


def conv_features(network, conv):
    kept = conv.mask.sum(axis=(1, 2, 3))
    limits = np.iinfo(np.int32)
    channels = network.shapes[conv.input][2]
    of_group = conv.out_channels // conv.groups
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
        "depthwise": conv.groups == channels == conv.out_channels > 1,
        "channel multiplier": conv.groups == channels > 1 and of_group > 1,
        "groups of some channels": 1 < conv.groups < channels,
        "groups of no whole word": 1 < conv.groups < channels and (channels // conv.groups) % 4,
        "groups with stride": conv.groups > 1 and max(conv.stride) > 1,
        "groups and residual": conv.groups > 1 and conv.residual is not None,
        "dilation": max(conv.dilation) > 1 and max(conv.kernel) > 1,
        "rectangular dilation": conv.dilation[0] != conv.dilation[1],
        "dilation and stride": conv.dilation[0] > 1 < conv.stride[0] and conv.kernel[0] > 1,
        "dilation and groups": conv.dilation[0] > 1 < conv.groups and conv.kernel[0] > 1,
        "dilated kernel larger than map": conv.span[0] > network.shapes[conv.input][0],
    }
    yield from (name for name, found in checks.items() if found)
    if conv.sign is not None and kept.any():
        all_or_some = "every sign is -1" if (conv.sign == conv.mask).all() else "learned signs"
        yield all_or_some if conv.sign.any() else "every sign is +1"
        if conv.groups > 1:
            yield "learned signs of groups"


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
                if same and conv.groups != other.groups:
                    yield "shared weights of other groups"
                if same and conv.sign is not None and np.array_equal(conv.sign, other.sign):
                    yield "shared signs"
    for name in network.shapes:
        readers = [layer for layer in network.layers if name in layer.inputs]
        windows = [layer for layer in readers if isinstance(layer, Window)]
        if len({layer.stride for layer in windows if layer.input == name}) > 1:
            yield "two readers with different strides"
        if not readers and name not in (network.input.name, network.layers[-1].name):
            yield "dead layer"
    yield f"result: {network.layers[-1].op} {network.types[network.layers[-1].name]}"
    yield f"image {network.input.type}"
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


ACTIVATIONS = ("uint8", "int8")
SIDES = [f"padding only {side}" for side in ("above", "below", "left", "right")]
FEATURES_2 = [
    *(f"{op}: {special}" for op in ("conv", "max_pool", "avg_pool")
      for special in (*SIDES, "int8", "int8 and padding")),
    *("depthwise", "channel multiplier", "groups of some channels", "groups of no whole word"),
    *("groups with stride", "groups and residual", "dilation", "rectangular dilation"),
    *("dilation and stride", "dilation and groups", "dilated kernel larger than map"),
    *("learned signs", "every sign is -1", "every sign is +1", "learned signs of groups"),
    *("shared weights of other groups", "shared signs", "add: shift 1", "add: shift 24"),
    *(f"{op}: {one} + {other} to {output}" for op in ("conv", "add") for one in ACTIVATIONS
      for other in ACTIVATIONS for output in ACTIVATIONS),
    *(f"conv: {one} + {other} to int32" for one in ACTIVATIONS for other in ACTIVATIONS),
    *("add: scale 1", "add: scale 32767", "add: residual scale 0", "add: a tensor to itself"),
    *("add: residual scale 16777215", "concat: one tensor", "concat: many tensors"),
    *("concat: repeats", "concat: parts of no whole words", "concat: of a concat"),
    *(f"{op}: {kind}" for op in ("concat", "upsample") for kind in ACTIVATIONS),
    *(f"upsample: factor {factor}" for factor in (1, 2, 3, 16)),
    *(f"{op} after {source}" for op in LAYER_CLASSES for source in ("image", *LAYER_CLASSES)),
    *(f"strided {op} after upsample" for op in ("conv", "max_pool", "avg_pool")),
    *(f"result: {op} {kind}" for op in LAYER_CLASSES for kind in ACTIVATIONS),
    *("result: conv int32", "image uint8", "image int8"),
]  # fmt: skip


def test_every_feature_occurs(networks):
    found = {feature for network in networks for feature in network_features(network)}
    assert sorted(set(FEATURES) - found) == []


def test_every_feature_of_version_2_occurs(newer_networks):
    found = {feature for network in newer_networks for feature in network_features(network)}
    assert sorted({*FEATURES, *FEATURES_2} - found) == []


# What is found in a network of no other feature.
ALONE = {
    Feature.DILATION: ["dilation"],
    Feature.GROUPS: ["depthwise", "channel multiplier", "groups of some channels"],
    Feature.PADDING: SIDES,
    Feature.SIGN: ["learned signs", "every sign is -1", "every sign is +1"],
    Feature.INT8: ["int8", "image int8", "result: conv int8", "conv: int8 + uint8 to int8"],
    Feature.ADD: ["add", "add: uint8 + uint8 to uint8"],
    Feature.CONCAT: ["concat", "concat: repeats", "concat: parts of no whole words"],
    Feature.UPSAMPLE: ["upsample", "upsample: uint8"],
}


@pytest.mark.parametrize("feature", Feature)
def test_features_are_allowed_one_by_one(feature):
    rng = np.random.default_rng(5)
    found = set()
    for draw in (random_network, random_residual_network):
        for _ in range(40):
            network = draw(rng, features={feature})
            found |= {name.removeprefix("conv: ") for name in network_features(network)}
    wanted = {name.removeprefix("conv: ") for name in ALONE[feature]}
    assert sorted(wanted - found) == []
    others = {name.removeprefix("conv: ") for other in Feature for name in ALONE[other]}
    assert sorted((others - wanted) & found) == []


@pytest.mark.parametrize("features", [VERSION_1, VERSION_2], ids=["1", "2"])
def test_limits(features):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        weights, pixels = int(rng.integers(1, 1000)), int(rng.integers(1, 60))
        sizes = {"max_weights": weights, "max_pixels": pixels, "max_layers": 4}
        network = random_network(rng, features=features, **sizes)
        convs = [layer for layer in network.layers if isinstance(layer, Conv)]
        assert sum(conv.mask.size for conv in convs) <= weights
        assert max(height * width for height, width, _ in network.shapes.values()) <= pixels
        assert len(network.layers) <= 4
        for layer in network.layers:
            if isinstance(layer, AvgPool):
                assert layer.kernel[0] * layer.kernel[1] <= MAX_AVG_POOL_AREA
        assert all(conv.output != "int32" for conv in convs if conv is not network.layers[-1])


@pytest.mark.parametrize("features", [VERSION_1, VERSION_2], ids=["1", "2"])
def test_same_seed_same_network(features):
    draws = [random_network(np.random.default_rng(9), features=features) for _ in range(2)]
    assert draws[0] == draws[1]


@pytest.mark.parametrize("drawn", ["networks", "newer_networks"])
def test_outputs_spread(drawn, request):
    networks = request.getfixturevalue(drawn)
    rng = np.random.default_rng(1)
    constant, inside = [], []
    for network in networks:
        results = infer_layers(network, random_images(rng, network, 6))
        for layer in network.layers:
            values = results[layer.name]
            constant.append((values == values.flat[0]).all())
            if isinstance(layer, Conv) and layer.output != "int32":
                limits = np.iinfo(layer.output)
                inside.append(np.mean((values > limits.min) & (values < limits.max)))
    assert np.mean(constant) < 0.1
    assert np.mean(inside) > 0.6


def test_images(networks):
    rng = np.random.default_rng(1)
    network = next(n for n in networks if isinstance(n.layers[0], MaxPool))
    images = random_images(rng, network, 50)
    assert images.dtype == np.uint8
    assert images.shape == (50, *network.input.shape)
    assert len(np.unique(images)) > 100


def test_images_of_either_type(newer_networks):
    rng = np.random.default_rng(1)
    for network in newer_networks[:50]:
        images = random_images(rng, network, 20)
        assert images.dtype == network.input.type
        assert images.min() == np.iinfo(images.dtype).min
