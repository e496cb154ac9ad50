import re

import numpy as np
import pytest

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional

from hiddenite.training.exporter.export import export
from hiddenite.training.exporter.fold import fold
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import HiddenConv2d, HiddenLinear
from hiddenite.training.layers.convert import hide
from hiddenite.training.layers.weights import HiddenWeights


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(1)


class Block(nn.Module):
    """A block with the same rectifier at two places, as they are usually written."""

    def __init__(self, channels, out_channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, "same", bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out_channels, 1, stride),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(),
            )

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Plain(nn.Module):
    """A plain network with residuals."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6())
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 6, 2))
        self.pool = nn.AvgPool2d(2)
        self.fc1 = nn.Linear(6 * 3 * 2, 8, bias=False)
        self.bn = nn.BatchNorm1d(8)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(8, 5)

    def forward(self, x):
        x = self.pool(self.blocks(self.stem(x)))
        x = functional.dropout(x.view(x.size(0), -1), 0.5, self.training)
        return self.fc2(self.relu(self.bn(self.fc1(x))))


EXAMPLE = torch.zeros(1, 3, 12, 8)


def hidden_layers(model):
    return [module for module in model.modules() if isinstance(module, HiddenConv2d | HiddenLinear)]


def test_converts_every_module():
    hidden = hide(Plain(), EXAMPLE, seed=9, density=0.4, step=0.25)
    kinds = {type(module) for module in hidden.modules()}
    assert not kinds & {nn.Conv2d, nn.Linear, nn.ReLU, nn.ReLU6}
    assert type(hidden) is Plain and type(hidden.blocks[0]) is Block
    layers = hidden_layers(hidden)
    assert [layer.weights.index for layer in layers] == list(range(8))
    assert {(layer.weights.seed, layer.weights.density) for layer in layers} == {(9, 0.4)}
    steps = [module.step for module in hidden.modules() if isinstance(module, QuantizedReLU)]
    assert steps == [6 / 255] + [0.25] * 5
    assert hidden(torch.rand(4, 3, 12, 8)).shape == (4, 5)


def test_layers_keep_their_shapes():
    plain, hidden = Plain(), hide(Plain(), EXAMPLE)
    names = [name for name, module in plain.named_modules() if isinstance(module, nn.Conv2d)]
    for name in names:
        old, new = plain.get_submodule(name), hidden.get_submodule(name)
        assert new.weights().permute(0, 3, 1, 2).shape == old.weight.shape
        assert new.stride == old.stride
        assert new.padding == ((1, 1) if old.padding == "same" else old.padding)
        assert (new.bias is None) == (old.bias is None)
    assert hidden.fc1.bias is None
    assert hidden.fc2.bias.tolist() == [0] * 5


def test_leaves_the_model_alone():
    plain = Plain()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    hidden = hide(plain, torch.rand(2, 3, 12, 8))
    assert plain.training and hidden.training and hidden.fc1.training
    assert all(torch.equal(before[name], value) for name, value in plain.state_dict().items())
    assert isinstance(plain.fc1, nn.Linear)
    assert not hide(plain.eval(), EXAMPLE).fc1.training


def test_map_of_a_linear_layer():
    hidden = hide(Plain(), EXAMPLE)
    assert hidden.fc1.kernel_size == (3, 2)
    assert hidden.fc2.kernel_size == (1, 1)


def test_map_that_a_functional_pooling_leaves():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.relu, self.second = nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2)

        def forward(self, x):
            x = functional.max_pool2d(x, 4).flatten(1)
            return self.second(self.relu(self.first(functional.dropout(x, 0.5, self.training))))

    hidden = hide(Pooled(), torch.rand(1, 4, 12, 8))
    assert hidden.first.kernel_size == (3, 2)
    assert hidden.second.kernel_size == (1, 1)


def test_average_poolings_round():
    plain = nn.Sequential(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(3, 2))
    hidden = hide(plain, EXAMPLE)
    average = hidden[0](torch.full((1, 3, 12, 8), 2.4 / 255))
    assert average.tolist() == [[pytest.approx(2 / 255)] * 3]
    assert hidden[1].kernel_size == (1, 1)


def test_a_module_under_two_names_stays_one():
    plain = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Identity(), nn.Identity())
    plain[2], plain[3] = plain[0], plain[1]
    hidden = hide(plain, EXAMPLE)
    assert hidden[0] is hidden[2] and hidden[1] is hidden[3]
    assert isinstance(hidden[2], HiddenConv2d)


def test_a_single_layer():
    assert isinstance(hide(nn.Conv2d(3, 4, 3, padding="valid"), EXAMPLE), HiddenConv2d)


def test_one_of():
    hidden = hide(Plain(), EXAMPLE, one_of=4)
    assert {layer.weights.one_of for layer in hidden_layers(hidden)} == {4}


def test_export_of_a_model_with_residuals(tmp_path):
    hidden = hide(Plain(), EXAMPLE)
    images = torch.randint(256, (20, 3, 12, 8), dtype=torch.uint8)
    for _ in range(5):
        hidden(images / 255)
    report = export(hidden, tmp_path / "network", images / 255)
    assert set(report.layers.values()) == {1.0}
    network = Network.load(tmp_path / "network")
    assert [layer.op for layer in network.layers] == ["conv"] * 6 + ["avg_pool"] + ["conv"] * 2
    assert sum(bool(getattr(layer, "residual", None)) for layer in network.layers) == 2
    results = infer(network, images.permute(0, 2, 3, 1).numpy()).reshape(20, 5)
    logits = hidden.eval()(images / 255).detach().numpy()
    assert np.corrcoef(results.ravel(), logits.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_type(dtype, tmp_path):
    hidden = hide(Plain().to(dtype), EXAMPLE.to(dtype))
    assert {tensor.dtype for tensor in hidden.parameters()} == {dtype}
    images = torch.randint(256, (20, 3, 12, 8), dtype=torch.uint8).to(dtype) / 255
    for _ in range(5):
        result = hidden(images)
    result.square().sum().backward()
    assert result.dtype == hidden.fc1.weights.scores.grad.dtype == dtype
    report = export(hidden, tmp_path / "network", images)
    assert set(report.layers.values()) == {1.0}
    assert next(fold(hidden, images).parameters()).dtype == dtype


def test_what_is_not_trained_stays_so():
    plain = Plain()
    plain.fc2.bias.requires_grad_(False)
    plain.stem.requires_grad_(False)
    hidden = hide(plain, EXAMPLE)
    frozen = {name for name, tensor in hidden.named_parameters() if not tensor.requires_grad}
    assert frozen == {
        "stem.0.bias",
        "stem.0.weights.scores",
        "stem.1.bias",
        "stem.1.weight",
        "fc2.bias",
    }


def test_draws_scores_alone():
    torch.manual_seed(3)
    hidden = hide(Plain(), EXAMPLE)
    after = torch.get_rng_state()
    torch.manual_seed(3)
    Plain()
    for layer in hidden_layers(hidden):
        weights = HiddenWeights(layer.weights.scores.shape, index=0)
        assert torch.equal(weights.scores, layer.weights.scores)
    assert torch.equal(after, torch.get_rng_state())


def test_layers_that_are_called_by_name():
    class Named(nn.Sequential):
        def forward(self, x):
            return self[1](input=self[0](input=x))

    assert hide(Named(nn.Conv2d(3, 4, 3), nn.ReLU()), EXAMPLE)(EXAMPLE).shape == (1, 4, 10, 6)


def test_one_image_whose_axis_is_squeezed():
    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.linear = nn.AdaptiveAvgPool2d(1), nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(self.pool(x).squeeze())

    assert hide(Squeezed(), EXAMPLE)(torch.rand(4, 3, 12, 8)).shape == (4, 2)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
            "padding_mode must be 'zeros', not 'reflect'",
        ),
        (
            nn.Conv1d(4, 4, 3, padding_mode="circular"),
            "padding_mode must be 'zeros', not 'circular'",
        ),
        (
            nn.ReflectionPad2d(1),
            "ReflectionPad2d cannot be converted; only zeros can be put around activations: use"
            " nn.ZeroPad2d",
        ),
        (nn.Hardtanh(), "min_val must be 0, not -1: stored activations have no sign"),
        *(
            (module, f"{type(module).__name__} cannot be converted; the hardware has no such layer")
            for module in (
                nn.ConvTranspose2d(4, 4, 3),
                nn.Conv3d(4, 4, 3),
                nn.Sigmoid(),
                nn.GELU(),
                nn.SiLU(),
                nn.LeakyReLU(),
                nn.AlphaDropout(),
                nn.Softmin(1),
                nn.SyncBatchNorm(4),
                nn.LayerNorm(4),
                nn.GroupNorm(2, 4),
                nn.MultiheadAttention(4, 1),
                nn.PixelShuffle(2),
            )
        ),
        (HiddenConv2d(4, 4, 3, index=0), "HiddenConv2d is converted already"),
    ],
)
def test_refuses_a_module(module, message):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(module))
    with pytest.raises(InputError, match=f"^module '1.0': {re.escape(message)}$"):
        hide(model, EXAMPLE)


def test_refuses_a_model_that_is_one_module():
    message = "^the model: Sigmoid cannot be converted; the hardware has no such layer$"
    with pytest.raises(InputError, match=message):
        hide(nn.Sigmoid(), EXAMPLE)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (torch.zeros(3), "not shape (3,)"),
        ((1, 3, 12, 8), "not (1, 3, 12, 8)"),
    ],
)
def test_refuses_an_example(example, message):
    message = f"^example must be a tensor .*, \\(N, C, L\\) or \\(N, C\\), {re.escape(message)}$"
    with pytest.raises(InputError, match=message):
        hide(Plain(), example)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            EXAMPLE.double(),
            "be of type torch.float32, as the model's parameters are, not torch.float64",
        ),
        (
            EXAMPLE.byte(),
            "be of type torch.float32, as the model's parameters are, not torch.uint8",
        ),
        (EXAMPLE[:0], "have images, not shape (0, 3, 12, 8)"),
    ],
)
def test_refuses_an_example_of_another_kind(example, message):
    with pytest.raises(InputError, match=f"^example must {re.escape(message)}$"):
        hide(Plain(), example)


def test_refuses_an_example_of_another_size():
    message = "^example must be images that the model can compute: mat1 and mat2 shapes cannot be"
    with pytest.raises(InputError, match=message):
        hide(Plain(), torch.zeros(1, 3, 12, 12))


def test_refuses_a_density():
    with pytest.raises(InputError, match=r"^density must be above 0 and at most 1, not 0$"):
        hide(Plain(), EXAMPLE, density=0)
