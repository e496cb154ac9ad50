import math
import re

import numpy as np
import pytest

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network

torch = pytest.importorskip("torch")

from torch import nn

from hiddenite.training.architectures import ARCHITECTURES
from hiddenite.training.exporter.export import export
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import CodedConv2d
from hiddenite.training.layers.factory import KINDS, LayerFactory

torch.set_num_threads(1)

SMALLEST = {"digits_cnn": 4, "fashion_cnn": 7, "vgg_small": 8}
"""The smallest height and width of images, 1 for all others."""

WEIGHTS = [  # those of the ResNets are torchvision's, less batch normalisations and last biases
    ("digits_cnn", (8, 8, 1), 10, 14_928),
    ("fashion_cnn", (28, 28, 1), 10, 65_808),
    ("vgg_small", (32, 32, 3), 10, 4_656_512),
    ("ds_cnn", (49, 10, 1), 12, 22_016),
    ("mobilenet_v1", (224, 224, 3), 1000, 4_209_088),
    ("mobilenet_v2", (224, 224, 3), 1000, 3_469_760),
    ("resnet8", (32, 32, 3), 10, 77_360),
    ("resnet20", (32, 32, 3), 10, 270_896),
    ("resnet18", (32, 32, 3), 10, 11_164_352),
    ("resnet18", (224, 224, 3), 1000, 11_678_912),
    ("resnet50", (224, 224, 3), 1000, 25_502_912),
]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(1)


def coded(model):
    return [module for module in model.modules() if isinstance(module, CodedConv2d)]


@pytest.mark.parametrize(("name", "shape", "classes", "weights"), WEIGHTS)
def test_number_of_weights(name, shape, classes, weights):
    with torch.device("meta"):
        model = ARCHITECTURES[name](LayerFactory("dense"), shape=shape, classes=classes)
    assert sum(layer.weights.latent.numel() for layer in coded(model)) == weights


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits(name, kind):
    factory = LayerFactory(kind)
    model = ARCHITECTURES[name](factory, shape=(18, 13, 2), classes=5, width=0.1)
    images = torch.rand(3, 2, 18, 13)
    logits = model(images)
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.eval()(images[:1]).shape == (1, 5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_smallest_images(name):
    size = SMALLEST.get(name, 1)
    options = {"classes": 2, "width": 0.1}
    model = ARCHITECTURES[name](LayerFactory(), shape=(size, size + 1, 1), **options)
    assert model.eval()(torch.rand(2, 1, size, size + 1)).shape == (2, 2)
    if size > 1:
        message = f"^{name}: images must be at least {size}x{size}, not {size + 9}x{size - 1}$"
        with pytest.raises(InputError, match=message):
            ARCHITECTURES[name](LayerFactory(), shape=(size + 9, size - 1, 1), **options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_layers_fit_the_hardware(name):
    """Each layer has its own signs, and reads stored activations or the image."""
    low = -256 if name == "mobilenet_v2" else 0  # its signed steps are twice those of the others
    model = ARCHITECTURES[name](LayerFactory(), shape=(70, 70, 1), classes=3, width=0.05)
    layers = coded(model)
    assert sorted(layer.weights.index for layer in layers) == list(range(len(layers)))
    inputs = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda layer, inputs_: inputs.append(inputs_[0]))
    image = torch.zeros(2, 1, 70, 70)
    model(image)
    assert len(inputs) == len(layers)
    for tensor in inputs:
        units = tensor * 64
        assert torch.equal(units, units.round())
        assert units.min() >= low and units.max() <= 255


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_width_multiplies_channels(name):
    def channels(width):
        factory = LayerFactory("dense")
        with torch.device("meta"):
            model = ARCHITECTURES[name](factory, shape=(32, 32, 3), classes=10, width=width)
        return [layer.out_channels for layer in coded(model)[:-1]]

    assert channels(0.5) == [count // 2 for count in channels(1)]
    assert channels(3.0) == [count * 3 for count in channels(1)]
    assert min(channels(1e-9)) == 1


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_activations_at_the_start(name):
    """Few activations are cut at 255 steps, and few channels are silent."""
    model = ARCHITECTURES[name](LayerFactory(), shape=(32, 32, 3), classes=10, width=0.25)
    cut = []

    def note(activation, inputs, output):
        cut.append((inputs[0] > 255.5 * activation.step).float().mean().item())
        assert 0.1 < output.mean() < 1.2

    for module in model.modules():
        if isinstance(module, QuantizedReLU):
            module.register_forward_hook(note)
    model(torch.rand(4, 3, 32, 32))
    assert cut and max(cut) < 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (32, 32)}, "shape must be (height, width, channels), not (32, 32)"),
        ({"shape": (32, 32, 0)}, "shape must be (height, width, channels), not (32, 32, 0)"),
        ({"shape": (32.0, 32, 3)}, "shape must be (height, width, channels), not (32.0, 32, 3)"),
        ({"classes": 1}, "classes must be an integer of at least 2, not 1"),
        ({"classes": "10"}, "classes must be an integer of at least 2, not '10'"),
        ({"width": 0}, "width must be above 0, not 0"),
        ({"width": math.nan}, "width must be above 0, not nan"),
    ],
)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_refuses(name, options, message):
    options = {"shape": (32, 32, 3), "classes": 10} | options
    with pytest.raises(InputError, match=f"^{name}: {re.escape(message)}$"):
        ARCHITECTURES[name](LayerFactory(), **options)


@pytest.mark.parametrize(("size", "kernel"), [(64, (3, 3)), (65, (7, 7))])
@pytest.mark.parametrize("name", ["resnet20", "resnet18", "resnet50"])
def test_large_images_are_made_small_first(name, size, kernel):
    model = ARCHITECTURES[name](LayerFactory(), shape=(8, size, 3), classes=10, width=0.1)
    assert coded(model)[0].kernel_size == kernel
    pools = [module for module in model.modules() if isinstance(module, nn.MaxPool2d)]
    assert len(pools) == (kernel == (7, 7))


@pytest.mark.parametrize(
    ("name", "size"), [*((name, 16) for name in ARCHITECTURES), ("resnet18", 66)]
)
def test_export(name, size, tmp_path):
    model = ARCHITECTURES[name](LayerFactory(), shape=(size, size, 3), classes=4, width=0.06)
    images = torch.randint(256, (16, 3, size, size), dtype=torch.uint8)
    for _ in range(5):
        model(images / 255)
    report = export(model, tmp_path / "network", images / 255)
    assert report.classes == 1
    assert set(report.layers.values()) == {1.0}
    network = Network.load(tmp_path / "network")
    assert sum(layer.op == "conv" for layer in network.layers) == len(coded(model))
    assert network.input.shape == (size, size, 3)
    assert network.types[network.layers[-1].name] == "int32"
    results = infer(network, images.permute(0, 2, 3, 1).numpy()).reshape(16, 4)
    logits = model.eval()(images / 255).detach().numpy()
    # Scales are rounded, after which some activations are one unit off.
    assert np.corrcoef(results.ravel(), logits.ravel())[0, 1] > 0.9
