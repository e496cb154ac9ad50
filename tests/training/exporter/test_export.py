import re
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer, infer_layers
from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import PRESETS
from hiddenite.training.exporter import export as module
from hiddenite.training.exporter.export import agreement, export, to_network
from hiddenite.training.exporter.fold import FoldedNetwork, fold
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import CodedConv2d, HiddenConv2d, HiddenLinear
from hiddenite.training.layers.weights import BinaryWeights, DenseWeights

torch.set_num_threads(1)

SEED = 2**32 - 5


def random_images(rng, count, shape):
    return rng.integers(0, 256, (count, *shape), dtype=np.uint8)


def as_input(images, step=1 / 255):
    return torch.from_numpy(images).permute(0, 3, 1, 2) * step


class Sum(nn.Module):
    """A residual block; the shortcut is nothing or ends with an activation."""

    def __init__(self, branch, shortcut, activation):
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation

    def forward(self, x):
        return self.activation(self.branch(x) + self.shortcut(x))


class Builder:
    """Makes random models that the hardware can run."""

    def __init__(self, rng):
        self.rng = rng
        self.index = 0
        self.shape = tuple(rng.integers(5, 11, 2)), int(rng.integers(1, 6))
        self.image = (*map(int, self.shape[0]), self.shape[1])
        self.step = 1 / 255

    def choice(self, *values):
        return values[self.rng.integers(len(values))]

    def options(self):
        self.index += 1
        options = {"index": self.index, "seed": SEED}
        if self.rng.random() < 0.25:
            return options | {"one_of": self.choice(2, 4, 8)}
        return options | {"density": self.choice(0.1, 0.3, 0.5, 1.0)}

    def activation(self):
        self.step = self.choice(1 / 64, 1 / 64, 1 / 40, 1 / 100)
        return QuantizedReLU(self.step)

    def norm(self, channels, kind=nn.BatchNorm2d):
        norm = kind(channels)
        norm.weight.data.uniform_(-1.5, 1.5)
        norm.bias.data.uniform_(-0.5, 1)
        if self.rng.random() < 0.3:
            norm.weight.data[self.rng.integers(channels)] = 0
        return norm

    def conv(self, out_channels, kernel, stride=1, padding=0):
        (height, width), in_channels = self.shape
        size = [
            (s + 2 * p - k) // t + 1
            for s, k, t, p in zip((height, width), kernel, (stride,) * 2, padding, strict=True)
        ]
        self.shape = tuple(map(int, size)), out_channels
        conv = HiddenConv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            bias=bool(self.rng.random() < 0.3),
            **self.options(),
        )
        if conv.bias is not None:
            nn.init.uniform_(conv.bias)
        return nn.Sequential(conv, self.norm(out_channels))

    def layer(self):
        (height, width), channels = self.shape
        kind = self.rng.random()
        if kind < 0.35:
            kernel = tuple(int(self.rng.integers(1, 4)) for _ in range(2))
            padding = tuple(int(self.rng.integers(k)) for k in kernel)
            if min(height, width) < 3:
                kernel, padding = (1, 1), (0, 0)
            stride = self.choice(1, 1, 2)
            conv = self.conv(int(self.rng.integers(1, 13)), kernel, stride, padding)
            return conv.append(self.activation())
        if kind < 0.55:
            branch = self.conv(channels, (3, 3), 1, (1, 1))
            return Sum(branch, nn.Identity(), self.activation())
        if kind < 0.75:
            before = self.shape
            branch = self.conv(6, (3, 3), 2, (1, 1))
            self.shape = before
            shortcut = self.conv(6, (1, 1), 2, (0, 0)).append(self.activation())
            return Sum(branch, shortcut, self.activation())
        if min(height, width) < 3:
            return nn.Dropout()
        self.shape = ((height - 1) // 2, (width - 1) // 2), channels
        if kind < 0.88:
            return nn.MaxPool2d(3, 2)
        return nn.Sequential(nn.AvgPool2d(3, 2), self.activation())

    def model(self):
        layers = nn.Sequential()
        for _ in range(self.rng.integers(2, 6)):
            layers.append(self.layer())
        kind = self.choice("map", "linear", "linear", "norm")
        (height, width), channels = self.shape
        if kind != "map":
            layers.append(nn.Flatten())
            features = height * width * channels
            linear = HiddenLinear(
                features, 5, map_size=(height, width), bias=kind == "linear", **self.options()
            )
            layers.append(linear)
            if kind == "norm":
                layers.append(self.norm(5, nn.BatchNorm1d))
        return layers


@torch.no_grad()
def random_model(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    builder = Builder(rng)
    model = builder.model()
    for _ in range(20):
        model.train()(as_input(random_images(rng, 16, builder.image)))
    return model.eval(), random_images(rng, 12, builder.image)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        HiddenConv2d(1, 4, 3, padding=1, index=0),
        nn.BatchNorm2d(4),
        QuantizedReLU(),
        HiddenLinear(256, 3, map_size=8, index=1),
    )


@pytest.fixture
def images():
    return random_images(np.random.default_rng(0), 8, (8, 8, 1))


@torch.no_grad()
@pytest.mark.parametrize("seed", range(30))
def test_random_models_layer_by_layer(seed, tmp_path):
    model, images = random_model(seed)
    path = tmp_path / "network.safetensors"
    report = export(model, path, as_input(images))
    network = Network.load(path)
    assert network == report.network
    assert report.path == path and report.classes >= 0.9
    assert min(report.layers.values()) > 0.99
    folded = fold(model, as_input(images)).double()
    exact = infer_layers(network, images, [layer.name for layer in network.layers])
    assert list(report.layers) == list(exact)
    for name, output in folded.tensors(as_input(images)):
        assert np.array_equal(output.permute(0, 2, 3, 1).numpy(), exact[name])
    expected = model(as_input(images))
    found = folded(as_input(images)).reshape(expected.shape)
    scale = expected.std().clamp(min=1 / 64)
    assert (found - expected).abs().mean() < 0.25 * scale


def test_report_and_file(model, images, tmp_path):
    model.train()
    path = tmp_path / "digits.safetensors"
    report = export(
        model, str(path), as_input(images), name="digits", input_name="pixels", classes=["a", "b"]
    )
    network = Network.load(path)
    assert (network.name, network.classes) == ("digits", ("a", "b"))
    assert network.input.name == network.layers[0].input == "pixels"
    assert report.classes == 1 and report.layers == {"0": 1, "3": 1}
    assert 0.8 <= report.model_classes <= 1
    assert model.training
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    again = export(fold(model, as_input(images)), path, as_input(images))
    assert [layer.name for layer in again.network.layers] == ["0", "3"]
    assert again.model_classes == again.classes == 1


def test_class_of_the_integers_is_the_models(model, images, tmp_path):
    report = export(model, tmp_path / "n.safetensors", as_input(images))
    result = infer(report.network, images)
    expected = model.eval()(as_input(images)).argmax(1).numpy()
    found = result.reshape(len(images), -1).argmax(1)
    assert report.model_classes == np.mean(found == expected)


def test_trained_folded_model(model, images, tmp_path):
    folded = fold(model, as_input(images))
    with torch.no_grad():
        for layer in folded.layers:
            layer.scale.mul_(0.9).add_(0.3)
            layer.scale[0] = 1e5
            layer.bias.sub_(2.4)
    report = export(folded, tmp_path / "n.safetensors", as_input(images))
    assert report.classes == 1
    scale = folded.layers[0].scale.detach().round()
    assert report.network.layers[0].scale.tolist() == [32_767, *scale[1:].tolist()]


def test_other_input_step(images, tmp_path):
    model = nn.Sequential(HiddenConv2d(1, 4, 3, index=0), QuantizedReLU(1 / 8)).eval()
    report = export(model, tmp_path / "a", as_input(images, 1 / 16), input_step=1 / 16)
    assert report.classes == 1 and min(report.layers.values()) == 1
    assert infer(report.network, images).std() > 0


def test_shared_layers_share_index_and_mask(images, tmp_path):
    shared = HiddenConv2d(3, 3, 3, padding=1, index=7)
    first = HiddenConv2d(1, 3, 3, padding=1, index=1)
    model = nn.Sequential(first, QuantizedReLU(), shared, QuantizedReLU(), shared, QuantizedReLU())
    network = export(model, tmp_path / "a", as_input(images)).network
    assert [layer.name for layer in network.layers] == ["0", "2", "2_2"]
    second, third = network.layers[1:]
    assert second.index == third.index == 7
    assert np.array_equal(second.mask, third.mask)


@pytest.mark.parametrize("name", ["tiny", "up5k"])
def test_exported_network_compiles(name, tmp_path):
    model, images = random_model(3)
    network = export(model, tmp_path / "a", as_input(images)).network
    program = compile_network(network, PRESETS[name])
    assert program.result_shape == network.shapes[network.layers[-1].name]


def test_agreement_in_batches(model, images):
    folded = fold(model, as_input(images))
    network = to_network(folded)
    done = []
    classes, layers = agreement(folded, network, images, batch=3, progress=done.append)
    assert classes == 1 and layers == {"0": 1, "3": 1}
    assert done == [3, 6, 8]


def test_agreement_counts_what_differs(model, images):
    folded = fold(model, as_input(images))
    network = to_network(folded)
    last = network.layers[1]
    bias = last.bias.copy()
    bias[1] += 10**6
    other = replace(network, layers=[network.layers[0], replace(last, bias=bias)])
    classes, layers = agreement(folded, other, images)
    assert layers == {"0": 1, "3": pytest.approx(2 / 3)}
    expected = infer(network, images).reshape(len(images), -1).argmax(1)
    assert classes == np.mean(expected == 1)


def test_network_of_a_pool_alone(images, tmp_path):
    report = export(nn.Sequential(nn.MaxPool2d(2)), tmp_path / "a", as_input(images))
    assert np.array_equal(
        infer(report.network, images)[..., 0], images.reshape(8, 4, 2, 4, 2).max((2, 4))
    )


def test_proof_that_fails_leaves_the_old_file(model, images, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    right = module.to_network

    def wrong(folded, **options):
        network = right(folded, **options)
        first = network.layers[0]
        mask = first.mask.copy()
        mask[0] = ~mask[0]
        return replace(network, layers=[replace(first, mask=mask), *network.layers[1:]])

    monkeypatch.setattr(module, "to_network", wrong)
    message = (
        f"^{re.escape(str(path))}: layer '0': all integers must be those of the model, not only"
        r" \d+\.\d{3}% of them$"
    )
    with pytest.raises(InputError, match=message):
        export(model, path, as_input(images))
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_classes_that_float32_does_not_give(model, images, tmp_path, monkeypatch):
    right = module.agreement

    def wrong(folded, network, images):
        if folded.layers[0].scale.dtype == torch.float64:
            return right(folded, network, images)
        return 0.75, {"0": 1.0, "3": 0.5}

    monkeypatch.setattr(module, "agreement", wrong)
    message = (
        "a: layer '3': float32 must give at least 99.9% of the classes that the integers give, not"
        " 75.000%; of this layer 50.000% are equal"
    )
    with pytest.raises(InputError, match=re.escape(message) + "$"):
        export(model, tmp_path / "a", as_input(images))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("weights", [BinaryWeights, DenseWeights])
def test_weights_that_no_file_can_hold(weights, images, tmp_path):
    model = nn.Sequential(CodedConv2d(weights((2, 3, 3, 1))), QuantizedReLU())
    message = f"^layer '0': weights must be hidden ones, not {weights.kind}$"
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "a", as_input(images))


def test_weights_whose_signs_are_not_those_of_the_seed(model, images, tmp_path):
    model[3].weights.index = 9
    message = (
        "^layer '3': weights must be 0 or the signs of seed 1 and index 9, not -?1 of channel 0$"
    )
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "a", as_input(images))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("scale", lambda layer: layer.scale),
        ("bias", lambda layer: layer.bias),
        ("scores", lambda layer: layer.weights.scores),
    ],
)
def test_folded_networks_that_have_diverged(name, parameter, number, model, images, tmp_path):
    folded = fold(model, as_input(images))
    parameter(folded.layers[1]).data[2] = number
    message = (
        f"layer '3': its {name} must be finite, which those of channel 2 are not: the training has"
        " diverged"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        export(folded, tmp_path / "a", as_input(images))


def test_double_precision(model, images, tmp_path):
    single = export(model, tmp_path / "a", as_input(images)).network
    double = export(model.double(), tmp_path / "a", as_input(images)).network
    assert single == double
    scores = model[3].weights.scores.data
    # Scores that float32 cannot tell apart.
    scores.copy_(1 + torch.arange(scores.numel()).double().view_as(scores) * 1e-12)
    network = export(model, tmp_path / "a", as_input(images)).network
    kept = network.layers[1].mask.ravel()
    assert kept[: len(kept) // 3].sum() == 1
    assert kept[-model[3].weights.keep + 2 :].all()
    folded = fold(model, as_input(images))
    assert folded.layers[1].scale.dtype == torch.float64
    assert export(folded, tmp_path / "a", as_input(images)).network == network


def test_a_folded_network_inside_a_model(model, images, tmp_path):
    outer = nn.Sequential(fold(model, as_input(images)), nn.Flatten())
    message = r"^module '0' \(FoldedNetwork\): is folded already: export it alone$"
    with pytest.raises(InputError, match=message):
        export(outer, tmp_path / "a", as_input(images))


class Halved(FoldedNetwork):
    def forward(self, images):
        return super().forward(images) / 2


def test_a_class_that_is_derived_from_folded_networks(model, images, tmp_path):
    folded = fold(model, as_input(images))
    folded.__class__ = Halved
    message = (
        "the model (Halved): must have the forward of FoldedNetwork, not one of its own: put what"
        " it adds into a module that calls FoldedNetwork"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        export(folded, tmp_path / "a", as_input(images))


def test_layers_of_two_seeds(images, tmp_path):
    first = HiddenConv2d(1, 2, 3, index=0, seed=1)
    second = HiddenConv2d(2, 2, 3, index=1, seed=2)
    model = nn.Sequential(first, QuantizedReLU(), second)
    with pytest.raises(InputError, match=r"^layer '2': seed must be 1, as of layer '0', not 2"):
        export(model, tmp_path / "a", as_input(images))


def test_path_that_cannot_be_written(model, images, tmp_path):
    missing = tmp_path / "missing" / "a"
    with pytest.raises(InputError, match=f"^{missing}: cannot be written: No such file"):
        export(model, missing, as_input(images))
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match=f"^{file}/a: cannot be written: Not a directory$"):
        export(model, file / "a", as_input(images))
    with pytest.raises(InputError, match=f"^{tmp_path}: cannot be written: Is a directory$"):
        export(model, tmp_path, as_input(images))
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_input_with_the_name_of_a_layer(model, images, tmp_path):
    with pytest.raises(InputError, match=r"^layer '0': name '0' must not be defined twice$"):
        export(model, tmp_path / "a", as_input(images), input_name="0")


def test_example_of_a_folded_model(model, images, tmp_path):
    folded = fold(model, as_input(images))
    with pytest.raises(InputError, match=r"^example must be bytes, 0 to 255, times"):
        export(folded, tmp_path / "a", as_input(images) - 1)


def test_no_images(model, images):
    folded = fold(model, as_input(images))
    with pytest.raises(InputError, match=r"^images must be at least one, not none$"):
        agreement(folded, to_network(folded), images[:0])
