import copy
import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.fold import fold
from hiddenite.training.exporter.integers import average_integers
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import (
    CodedConv2d,
    CodedLinear,
    HiddenConv2d,
    HiddenLinear,
)
from hiddenite.training.layers.weights import BinaryWeights, DenseWeights

torch.set_num_threads(1)


def images(count=4, channels=3, size=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, size, size), generator=generator) / 255


def block(in_channels, out_channels, index, step=1 / 64, **options):
    conv = HiddenConv2d(in_channels, out_channels, 3, padding=1, index=index, **options)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), QuantizedReLU(step))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = block(3, 8, 0)
        self.branch = block(8, 8, 1, step=1 / 50)[:2]
        self.relu = QuantizedReLU(1 / 50)
        self.pool = nn.Sequential(nn.AvgPool2d(3, 2, 1), QuantizedReLU(1 / 40))
        self.last = nn.Sequential(
            nn.Flatten(), HiddenLinear(72, 5, map_size=3, index=2), nn.BatchNorm1d(5)
        )

    def forward(self, x):
        x = self.first(x)
        return self.last(self.pool(self.relu(self.branch(x) + x)))


def settle(model, examples, seed=0):
    """Give batch normalisations statistics and parameters as if they were trained."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor, low, high in ((module.weight, -1.5, 1.5), (module.bias, -0.5, 1)):
                tensor.data.uniform_(low, high, generator=generator)
    with torch.no_grad():
        for _ in range(30):
            model.train()(examples)
    return model.eval()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return settle(Residual(), images(16))


@torch.no_grad()
def test_result_is_the_models_but_for_roundings(model):
    examples = images(64, seed=1)
    folded = fold(model, examples[:1])
    expected, found = model(examples), folded(examples)
    assert found.shape == expected.shape and found.dtype == torch.float32
    assert (found - expected).abs().mean() < 0.05 * expected.std()


@torch.no_grad()
def test_every_number_is_an_integer_and_float64_is_exact(model):
    examples = images(8, seed=1)
    folded = fold(model, examples)
    double = copy.deepcopy(folded).double()
    single = dict(folded.tensors(examples))
    for name, exact in double.tensors(examples):
        assert exact.dtype == torch.float64
        assert (exact == exact.round()).all()
        assert (single[name] == exact).double().mean() > 0.999
    assert torch.allclose(double(examples), exact.flatten(1) * folded.step_out)


def test_model_is_not_changed(model):
    model.train()
    state = copy.deepcopy(model.state_dict())
    folded = fold(model, images())
    assert model.training and not folded.training
    for name, value in model.state_dict().items():
        if torch.is_tensor(value):
            assert torch.equal(value, state[name])
    folded.layers[0].weights.scores.data.zero_()
    assert model.first[0].weights.scores.any()


def test_every_parameter_is_trainable(model):
    folded = fold(model, images())
    folded(images()).square().sum().backward()
    parameters = dict(folded.named_parameters())
    assert len(parameters) == 9
    for name, parameter in parameters.items():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_training_reduces_the_loss(model):
    examples, labels = images(32), torch.arange(32) % 5
    folded = fold(model, examples)
    groups = [
        {"params": [p], "lr": 0.01 * (p.detach().abs().mean().item())} for p in folded.parameters()
    ]
    optimizer = torch.optim.Adam(groups)
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(folded(examples), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_autocast_does_not_change_the_result(model):
    folded = fold(model, images())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = folded(images())
    assert torch.equal(half, folded(images()))


def test_state_dictionary(model):
    folded = fold(model, images())
    other = settle(Residual(), images(16), seed=5)
    other = fold(other, images())
    other.load_state_dict(folded.state_dict())
    assert torch.equal(other(images()), folded(images()))


def pooled(step, kernel=2, average=True):
    """A folded model with an average or a maximum pooling of some step and kernel."""
    pool = nn.AvgPool2d(kernel, 2) if average else nn.MaxPool2d(kernel, 2)
    torch.manual_seed(1)
    conv = HiddenConv2d(3, 4, 3, padding=1, index=0)
    return fold(nn.Sequential(conv, QuantizedReLU(), pool, QuantizedReLU(step)), images())


def test_state_dictionary_has_the_numbers_of_poolings_and_the_input():
    one, other = pooled(1 / 32), pooled(1 / 64)
    assert not torch.equal(other(images()), one(images()))
    other.input_step = 1.0
    other.load_state_dict(one.state_dict())
    assert other.input_step == 1 / 255 and other.layers[1].step == 1 / 32
    assert torch.equal(other(images()), one(images()))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"average": False, "step": 1 / 64},
            "layer 'layers.1': operation must be average, not max as in the state",
        ),
        (
            {"kernel": 3, "step": 1 / 64},
            "layer 'layers.1': kernel_size must be (2, 2), not (3, 3) as in the state",
        ),
    ],
)
def test_state_dictionary_of_another_network_is_refused(other, message):
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        pooled(1 / 64).load_state_dict(pooled(**other).state_dict())


def test_state_dictionary_without_its_numbers_is_refused():
    folded = pooled(1 / 64)
    state = {name: value for name, value in folded.state_dict().items() if torch.is_tensor(value)}
    message = (
        "the layer: state must have input_shape, input_type, flat, rows, host, input_step, not"
        " 'layers."
    )
    with pytest.raises(InputError, match="^" + re.escape(message)):
        folded.load_state_dict(state, strict=False)


def test_shared_weights_stay_shared():
    shared = HiddenConv2d(3, 3, 3, padding=1, index=0)
    model = nn.Sequential(shared, QuantizedReLU(), shared, QuantizedReLU(1 / 32))
    folded = fold(model, images())
    assert folded.layers[0].weights is folded.layers[1].weights
    assert folded.layers[0].scale is not folded.layers[1].scale
    assert len(list(folded.parameters())) == 5


@torch.no_grad()
@pytest.mark.parametrize("weights", [BinaryWeights, DenseWeights])
def test_other_kinds_of_weights(weights):
    torch.manual_seed(0)
    model = nn.Sequential(
        CodedConv2d(weights((8, 3, 3, 3)), padding=1),
        nn.BatchNorm2d(8),
        QuantizedReLU(),
        CodedLinear(weights((5, 6, 6, 8)), bias=True),
    )
    nn.init.uniform_(model[3].bias)
    settle(model, images(16))
    examples = images(64, seed=1)
    folded = fold(model, examples[:1]).double()
    for _, exact in folded.tensors(examples):
        assert (exact == exact.round()).all()
    expected = model(examples)
    assert (folded(examples) - expected).abs().max() < 0.05 * expected.std()


@torch.no_grad()
def test_result_without_batch_normalisation_is_exact():
    model = nn.Sequential(HiddenLinear(108, 5, map_size=6, index=0)).double()
    examples = images()
    folded = fold(model, examples).double()
    assert torch.allclose(folded(examples), model(examples.double()), rtol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(("size", "limit"), [(10, 2**20), (50, 2**22)])
def test_result_is_fine_but_not_too_large_for_float32(size, limit):
    model = nn.Sequential(
        HiddenLinear(3 * size**2, 5, map_size=size, index=0, density=1.0, bias=True)
    )
    model[0].bias.data.copy_(torch.tensor([0.0, 1.0, -1.0, 50.0, -50.0]))
    folded = fold(model, images(size=size)).double()
    layer = folded.layers[0]
    codes = layer.codes().permute(0, 3, 1, 2)
    most = 0
    for sign in (-1, 1):
        ((_, result),) = folded.tensors((sign * codes > 0).double())
        most = max(most, result.abs().max().item())
    assert limit / 8 < most <= limit
    assert layer.scale.abs().max() >= 2**layer.shift  # a unit for each of the accumulator's


@torch.no_grad()
def test_channels_whose_accumulator_cannot_count_are_constant():
    norm = nn.BatchNorm2d(5)
    norm.running_mean.copy_(torch.tensor([0.1, 0.1, 1e6, 0.1, 0.1]))
    norm.weight.copy_(torch.tensor([1.0, 0.0, 1e-6, 1.0, -1e-9]))
    norm.bias.copy_(torch.tensor([0.5, 0.5, 1.5, -1e9, 1e9]))
    model = nn.Sequential(HiddenConv2d(3, 5, 3, index=0, density=0.5), norm, QuantizedReLU())
    model.eval()
    layer = fold(model, images()).layers[0]
    assert layer.alive.tolist() == [1, 0, 0, 0, 0]
    assert not layer.codes()[1:].any() and layer.codes()[0].any()
    output = layer(torch.zeros(1, 3, 6, 6))[0, :, 0, 0]
    assert output[1:].tolist() == [32, 96, 0, 255]


def test_channel_without_activations_does_not_spoil_the_others():
    norm = nn.BatchNorm2d(4)
    conv = HiddenConv2d(3, 4, 3, index=0, density=0.1)
    model = nn.Sequential(conv, norm, QuantizedReLU()).eval()
    shift = fold(model, images()).layers[0].shift
    norm.running_var[2] = 0.0
    conv.weights.scores.data[2, :, :, 1:] = 0.0  # it reads the first input channel alone
    conv.weights.scores.data[2, 0, 0, 0] = 1.0
    dark = images()
    dark[:, 0] = 0.0
    layer = fold(model, dark).layers[0]
    assert layer.shift == shift
    assert layer.scale[2].abs() == 30_000


def test_channel_whose_variance_is_not_that_of_the_example_is_not_cut():
    norm = nn.BatchNorm2d(4)
    model = nn.Sequential(HiddenConv2d(3, 4, 3, index=0), norm, QuantizedReLU()).eval()
    norm.running_var[2] = 0.0
    layer = fold(model, images()).layers[0]
    slope = model[0].weights.gain / 255 * 64 / 1e-5**0.5
    assert layer.scale[2].item() * 2.0**-layer.shift == pytest.approx(slope, rel=1e-4)


def test_steps_that_no_integers_fit():
    conv = HiddenConv2d(3, 4, 3, padding=1, index=0)
    message = r"^layer '0': channel 0 must make at most 16383 steps of output of one unit of its"
    with pytest.raises(InputError, match=message):
        fold(nn.Sequential(conv, QuantizedReLU(1e-9)), images())

    class Sum(nn.Module):
        def __init__(self, steps):
            super().__init__()
            self.conv = HiddenConv2d(3, 3, 3, padding=1, index=0)
            self.relus = nn.ModuleList(map(QuantizedReLU, steps))

        def forward(self, x):
            y = self.relus[0](self.conv(x))
            z = self.conv(x) + y
            return self.relus[1](z) if len(self.relus) > 1 else z

    message = "layer 'conv_2': step of the residual must be at most 8.38861e+06 times that of"
    with pytest.raises(InputError, match="^" + re.escape(message)):
        fold(Sum([1e7, 1e-2]), images())
    message = "layer 'conv_2': step of the residual must be at most 1.67772e+07 times what a"
    with pytest.raises(InputError, match="^" + re.escape(message)):
        fold(Sum([1e9]), images())
    fold(Sum([1e3]), images())


def test_averages_are_exact_where_they_can_be():
    for area in (1, 2, 3, 4, 6, 9, 12, 16, 25, 36, 49, 64, 81):
        scale, shift = average_integers("p", 1.0, area)
        sums = torch.arange(255 * area + 1)
        exact = (2 * sums + area) // (2 * area)
        found = (sums * scale + (1 << (shift - 1))) >> shift
        assert (found != exact).double().mean() < (1e-3 if area > 64 else 1e-9), area
    scale, shift = average_integers("p", 3.0, 1000)
    assert scale / 2**shift == pytest.approx(0.003, rel=1e-3)


def test_average_that_no_integers_fit():
    message = "layer 'p': steps and kernel must make a factor from 2^-25 to 16383.5, not 1e-09"
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        average_integers("p", 1e-9, 1)


def test_images_of_another_shape(model):
    folded = fold(model, images())
    message = "images must be of shape (3, 6, 6), not (3, 8, 8)"
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        folded(images(size=8))


def test_names_in_the_text(model):
    text = repr(fold(model, images()))
    assert "branch.0, hidden, uint8, shift=" in text
    assert "pool.0, average, kernel_size=(3, 3), stride=(2, 2)" in text


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("function", ["softmax", "log_softmax", "argmax"])
def test_what_the_host_computes(function, flat):
    torch.manual_seed(0)
    size = 4 if flat else 1
    conv = HiddenConv2d(2, 3, size, index=0, density=0.5)

    class Ended(nn.Sequential):
        def forward(self, x):
            y = self[0](x)
            return getattr(torch, function)(y.flatten(1) if flat else y, 1)

    word = (
        f"node '{function}' (torch.{function}): is left to the host: the network's result is what"
        " goes into it"
    )
    images = torch.randint(0, 256, (4, 2, 4, 4)) / 255
    with pytest.warns(UserWarning, match=f"^{re.escape(word)}$"):
        folded = fold(Ended(conv), images)
    (layer,) = folded.layers
    assert (folded.host, layer.output) == (function, "int32")
    result = next(output for _, output in folded.tensors(images)) * folded.step_out
    result = result.flatten(1) if flat else result
    assert torch.equal(folded(images), getattr(torch, function)(result, 1))
    state = folded.state_dict()
    with pytest.raises(InputError, match=f"^the layer: host must be None, not {function} as in"):
        fold(nn.Sequential(conv, nn.Flatten()) if flat else conv, images).load_state_dict(state)
