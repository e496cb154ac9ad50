"""Models with signed activations, groups, sums, concatenations, enlarged maps and rows."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from exported_models import check_export, random_images, trained
from torch import nn
from torch.nn import functional

from hiddenite.golden.network import Network
from hiddenite.training.layers.activation import QuantizedIdentity, QuantizedReLU
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def normed(inputs, outputs, kernel=3, relu=True, **options):
    """Return the modules of a convolution that keeps its map, but for its stride."""
    options.setdefault("padding", kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, bias=False, **options)
    return [conv, nn.BatchNorm2d(outputs), *([nn.ReLU6()] if relu else [])]


class Model(nn.Module):
    """A model whose forward is a function of itself and the image."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        self.a, self.b = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.norm, self.relu, self.average = nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2)
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def linear_shortcut():
    return Model(
        lambda m, x: m.relu(m.path(x) + m.shortcut(x)).mean((2, 3)),
        path=nn.Sequential(*normed(4, 8, stride=2), *normed(8, 8, relu=False)),
        shortcut=nn.Sequential(*normed(4, 8, 1, stride=2, relu=False)),
    )


def inverted_residual():
    def block(m, x):
        x = m.first(x)
        return m.last(x + m.second(x)).mean((2, 3))

    def path(inputs, outputs, stride):
        depthwise = normed(8, 8, stride=stride, groups=8)
        return nn.Sequential(*normed(inputs, 8, 1), *depthwise, *normed(8, outputs, 1, relu=False))

    return Model(
        block, first=path(4, 3, 2), second=path(3, 3, 1), last=nn.Sequential(*normed(3, 8, 1))
    )


class Fire(nn.Module):
    def __init__(self):
        super().__init__()
        self.squeeze, self.wide, self.narrow = (
            nn.Sequential(*normed(inputs, outputs, kernel))
            for inputs, outputs, kernel in ((4, 3, 1), (3, 4, 3), (3, 4, 1))
        )

    def forward(self, x):
        x = self.squeeze(x)
        return torch.cat([self.wide(x), self.narrow(x)], 1)


def fire():
    return nn.Sequential(Fire(), nn.Dropout(), nn.Conv2d(8, 5, 1), nn.ReLU(), nn.Flatten())


def u_net():
    def forward(m, x):
        fine = m.down(x)
        coarse = m.bottom(functional.max_pool2d(fine, 2))
        x = torch.cat([functional.interpolate(coarse, scale_factor=2), fine], dim=1)
        return m.head(m.up(x))

    return Model(
        forward,
        down=nn.Sequential(*normed(4, 4)),
        bottom=nn.Sequential(*normed(4, 6)),
        up=nn.Sequential(*normed(10, 4)),
        head=nn.Conv2d(4, 2, 1),
    )


def signed_u_net():
    return Model(
        lambda m, x: m.up(torch.cat([m.larger(m.bottom(m.pool(y := m.down(x)))), y, x], 1)),
        down=nn.Sequential(*normed(4, 4, relu=False)),
        pool=nn.MaxPool2d(2),
        bottom=nn.Sequential(*normed(4, 6, relu=False)),
        larger=nn.Upsample(scale_factor=2),
        up=nn.Sequential(*normed(14, 4)),
    )


FORMS = {
    "linear shortcut": (linear_shortcut, ["conv", "conv", "conv", "avg_pool"]),
    "inverted residual": (inverted_residual, ["conv"] * 7 + ["avg_pool"]),
    "fire": (fire, ["conv", "conv", "conv", "concat", "conv"]),
    "u-net": (u_net, ["conv", "max_pool", "conv", "upsample", "concat", "conv", "conv"]),
    "parts with and without a sign": (
        signed_u_net,
        ["conv", "max_pool", "conv", "upsample", "add", "concat", "conv"],
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(name, tmp_path):
    make, operations = FORMS[name]
    images = random_images(6, (4, 8, 8))
    network = check_export(trained(make(), images), tmp_path / "a", images)
    assert [layer.op for layer in network.layers] == operations
    assert Network.load(tmp_path / "a") == network


SIGNED = {
    "two convolutions": lambda m, x: m.b(m.a(x)),
    "a normalised sum": lambda m, x: m.relu(m.norm(m.a(x) + x)),
    "a normalised rectifier": lambda m, x: m.b(m.norm(m.relu(m.a(x)))),
    "a normalised image": lambda m, x: m.a(m.norm(x)),
    "a shifted image": lambda m, x: m.a(x - 0.5),
    "deviations": lambda m, x: m.a((x - 0.5) / torch.tensor([0.2, 0.3, 0.4, 0.5]).view(-1, 1, 1)),
    "an average": lambda m, x: m.average(m.a(x)),
    "a rectified average": lambda m, x: functional.relu(functional.avg_pool2d(m.a(x), 2)),
    "a whole average": lambda m, x: m.a(x).mean((2, 3)),
    "an average of a sum": lambda m, x: m.average(m.relu(m.a(x)) + x),
    "a normalised maximum": lambda m, x: m.relu(m.norm(functional.max_pool2d(m.a(x), 3, 1, 1))),
    "an average of one pixel": lambda m, x: m.b(functional.avg_pool2d(m.a(x), 1)),
    "stored tensors": lambda m, x: m.relu(m.relu(m.a(x)) + x),
    "a tensor twice": lambda m, x: m.b(x + x),
    "three tensors": lambda m, x: m.b(m.a(x) + m.relu(m.b(x)) + x),
    "sums of sums": lambda m, x: (m.relu(m.a(x)) + x) + (m.b(x) + x),
    "averages": lambda m, x: functional.avg_pool2d(x, 2) + m.average(m.a(x)),
    "a clipped sum": lambda m, x: m.b(functional.relu6(m.relu(m.a(x)) + m.b(x).clamp(0, 1))),
    "a rectifier and a convolution": lambda m, x: m.relu(y := m.a(x)) + m.b(y),
    "a scaled sum": lambda m, x: m.relu((m.relu(m.a(x)) + x) * 0.5),
    "steps of three sizes": lambda m, x: m.narrow(
        torch.cat([m.relu(m.a(x)), functional.relu6(m.b(x)), x], 1)
    ),
    "zeros on one side": lambda m, x: m.b(functional.pad(m.relu(m.a(x)), (0, 1, 1, 0))),
    "zeros around a result": lambda m, x: m.b(functional.pad(m.a(x), (1, 1))),
    "zeros for an average": lambda m, x: functional.avg_pool2d(functional.pad(m.a(x), (0, 1)), 3),
    "a concatenated result": lambda m, x: torch.cat((m.a(x), x), 1).flatten(1),
    "an enlarged result": lambda m, x: functional.interpolate(m.a(x), size=(24, 16)),
}


@pytest.mark.filterwarnings("ignore:only .* of the classes")
@pytest.mark.parametrize("name", SIGNED)
def test_signed(name, tmp_path):
    images = random_images(4, (4, 8, 8))
    model = Model(SIGNED[name], narrow=nn.Conv2d(12, 4, 1))
    check_export(trained(model, images), tmp_path / "a", images)


def test_quantisers_are_where_they_are_needed():
    hidden = hide(inverted_residual(), torch.rand(1, 4, 8, 8))
    names = {name for name, module in hidden.named_modules() if is_signed(module)}
    assert names == {"first.8", "add_quantizer"}
    assert hide(linear_shortcut(), torch.rand(1, 4, 8, 8)).shortcut[2].step == 1 / 32
    assert not any(map(is_signed, hide(u_net(), torch.rand(1, 4, 8, 8)).modules()))


def is_signed(module):
    return isinstance(module, QuantizedIdentity)


def test_parts_of_a_concatenation_share_their_step():
    model = Model(lambda m, x: torch.cat([y := m.a(x), m.b(y), m.norm(m.a(y))], 1))
    hidden = hide(model, torch.rand(1, 4, 8, 8))
    first, *others = [
        module for _, module in hidden.named_modules(remove_duplicate=False) if is_signed(module)
    ]
    assert len(others) == 2 and all(other is first for other in others)


def test_average_has_the_step_of_what_it_averages():
    hidden = hide(Model(lambda m, x: m.average(m.a(x))), torch.rand(1, 4, 8, 8))
    assert hidden.average[1] is hidden.a_quantizer


@pytest.mark.filterwarnings("ignore:Using padding='same'", "ignore:only .* of the classes")
@pytest.mark.parametrize("shape", [(4, 16), (16,)])
def test_rows_and_features(shape, tmp_path):
    images = random_images(8, shape)
    if len(shape) == 1:
        layers = [nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3), nn.Linear(3, 16)]
    else:
        layers = [
            nn.ZeroPad1d((4, 0)),
            nn.Conv1d(4, 6, 3, dilation=2, bias=False),
            nn.BatchNorm1d(6),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(6, 6, 4, padding="same", groups=3),
            nn.Upsample(scale_factor=2),
            nn.Conv1d(6, 6, 3, stride=2),
            nn.ReLU(),
            nn.AvgPool1d(2, 1),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
        ]
    network = check_export(trained(nn.Sequential(*layers), images), tmp_path / "a", images)
    assert network.input.shape == ((1, 16, 4) if len(shape) == 2 else (1, 1, 16))


class Causal(nn.Module):
    """A residual block of a causal temporal convolutional network."""

    def __init__(self, inputs, outputs, dilation):
        super().__init__()
        self.zeros = 2 * dilation
        self.first = nn.Conv1d(inputs, outputs, 3, dilation=dilation)
        self.second = nn.Conv1d(outputs, outputs, 3, dilation=dilation)
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x):
        y = functional.relu(self.first(functional.pad(x, (self.zeros, 0))))
        y = functional.relu(self.second(functional.pad(y, (self.zeros, 0))))
        return functional.relu(y + self.shortcut(x))


def test_causal_rows(tmp_path):
    images = random_images(4, (2, 24))
    model = nn.Sequential(Causal(2, 4, 1), Causal(4, 4, 2), Causal(4, 4, 4), nn.Conv1d(4, 3, 1))
    hidden = trained(model, images)
    network = check_export(hidden, tmp_path / "a", images)
    assert network.layers[-1].kernel == (1, 1)
    assert any(layer.dilation == (1, 4) for layer in network.layers if layer.op == "conv")
    later = images.clone()
    later[..., 16:] = 0
    assert torch.equal(hidden(images)[..., :16], hidden(later)[..., :16])


def test_image_with_a_sign(tmp_path):
    images = random_images(6, (4, 8, 8)) - 128 / 255
    model = Model(lambda m, x: m.a(x) + x)
    network = check_export(trained(model, images), tmp_path / "a", images, "int8")
    assert network.input.type == "int8"
    assert network.layers[0].padding == (1, 1, 1, 1)


def test_untouched_models_are_files_of_version_1(tmp_path):
    images = random_images(4, (4, 8, 8))
    check_export(trained(Model(lambda m, x: m.b(m.relu(m.a(x)))), images), tmp_path / "a", images)
    assert b'"version": 1' in (tmp_path / "a").read_bytes().replace(b"\\", b"")
    model = Model(lambda m, x: m.b(m.a(x)))
    check_export(trained(model, images), tmp_path / "a", images)
    assert b'"version": 2' in (tmp_path / "a").read_bytes().replace(b"\\", b"")


def test_signs_of_groups_are_those_of_the_file(tmp_path):
    images = random_images(4, (4, 8, 8))
    model = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, dilation=2))
    hidden = trained(model, images)
    (layer,) = check_export(hidden, tmp_path / "a", images).layers
    assert (layer.groups, layer.dilation, layer.mask.shape) == (2, (2, 2), (6, 3, 3, 2))
    assert np.array_equal(layer.mask, hidden[0].weights().detach().numpy() != 0)


def test_user_quantisers(tmp_path):
    model = nn.Sequential(nn.Conv2d(4, 4, 1), QuantizedReLU(1 / 8), QuantizedReLU(1 / 32))
    images = random_images(4, (4, 8, 8))
    network = check_export(trained(model, images), tmp_path / "a", images)
    assert [layer.op for layer in network.layers] == ["conv", "add"]
