import re

import numpy as np
import pytest

from hiddenite.golden.errors import InputError
from hiddenite.golden.weights import signs

torch = pytest.importorskip("torch")

from torch.nn import functional

from hiddenite.training.layers.coded import (
    CodedConv2d,
    CodedLinear,
    HiddenConv1d,
    HiddenConv2d,
    HiddenLinear,
)
from hiddenite.training.layers.factory import LayerFactory
from hiddenite.training.layers.weights import BinaryWeights, DenseWeights


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(1)


def golden_weights(layer, seed, index):
    """Real weights of a hidden layer in O-H-W-I order, with the golden model's signs."""
    mask = layer.weights.mask().detach().numpy()
    return signs(seed, index, mask.shape) * mask * layer.weights.gain


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "bias"),
    [(3, 1, 1, False), (1, 2, 0, True), ((3, 2), (2, 1), (1, 0), True), (5, 3, 2, False)],
)
def test_conv(kernel, stride, padding, bias):
    conv = HiddenConv2d(4, 6, kernel, stride, padding, index=3, seed=99, density=0.4, bias=bias)
    if bias:
        torch.nn.init.normal_(conv.bias)
    x = torch.rand(2, 4, 9, 8)
    weight = torch.from_numpy(golden_weights(conv, 99, 3)).float().permute(0, 3, 1, 2)
    expected = functional.conv2d(x, weight, conv.bias, stride, padding)
    torch.testing.assert_close(conv(x), expected)


@pytest.mark.parametrize(
    ("groups", "dilation", "padding"), [(2, 1, 1), (4, (1, 2), 2), (1, 2, (2, 0, 1, 3))]
)
def test_conv_with_groups_dilation_and_zeros_of_each_side(groups, dilation, padding):
    conv = HiddenConv2d(4, 8, 3, 2, padding, dilation, groups, index=3, density=0.4)
    x = torch.rand(2, 4, 9, 8)
    weight = torch.from_numpy(golden_weights(conv, 1, 3)).float().permute(0, 3, 1, 2)
    assert weight.shape == (8, 4 // groups, 3, 3) and conv.in_channels == 4
    if isinstance(padding, tuple):
        top, left, bottom, right = padding
        expected = functional.pad(x, (left, right, top, bottom))
        expected = functional.conv2d(expected, weight, None, 2, 0, dilation, groups)
    else:
        expected = functional.conv2d(x, weight, None, 2, padding, dilation, groups)
    torch.testing.assert_close(conv(x), expected)


def test_conv_of_rows():
    conv = HiddenConv1d(4, 6, 3, 2, (4, 1), 2, 2, index=3, bias=True)
    torch.nn.init.normal_(conv.bias)
    x = torch.rand(2, 4, 12)
    weight = torch.from_numpy(golden_weights(conv, 1, 3)).float().permute(0, 3, 1, 2)[:, :, 0]
    expected = functional.conv1d(functional.pad(x, (4, 1)), weight, conv.bias, 2, 0, 2, 2)
    torch.testing.assert_close(conv(x), expected)
    assert HiddenConv1d(4, 6, (3,), (2,), (1,), index=0).padding == (0, 1)


@pytest.mark.parametrize("layer", [HiddenConv1d, HiddenConv2d])
@pytest.mark.parametrize(
    ("channels", "groups", "message"),
    [
        ((4, 6), 3, "groups must divide the 4 input channels, not be 3"),
        ((4, 6), 4, "groups must divide the 6 output channels, not be 4"),
        ((4, 6), 0, "groups must divide the 4 input channels, not be 0"),
    ],
)
def test_refuses_groups(layer, channels, groups, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        layer(*channels, 3, groups=groups, index=0)


@pytest.mark.parametrize("channels", [1, 4])
def test_conv_keeps_the_memory_format(channels):
    conv = HiddenConv2d(channels, 6, 3, index=0)
    x = torch.rand(2, channels, 5, 5)
    assert conv(x).is_contiguous()
    if channels > 1:  # else both formats are one
        x = x.to(memory_format=torch.channels_last)
        assert conv(x).permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("bias", [False, True])
def test_linear_reads_maps_in_y_x_c_order(bias):
    linear = HiddenLinear(5 * 3 * 2, 7, map_size=(3, 2), index=1, seed=5, bias=bias)
    if bias:
        torch.nn.init.normal_(linear.bias)
    x = torch.rand(4, 5, 3, 2)
    weight = golden_weights(linear, 5, 1)
    assert weight.shape == (7, 3, 2, 5)
    expected = x.permute(0, 2, 3, 1).reshape(4, -1).numpy() @ weight.reshape(7, -1).T
    if bias:
        expected = expected + linear.bias.detach().numpy()
    assert linear(x).shape == (4, 7)
    np.testing.assert_allclose(linear(x).detach().numpy(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(linear(x), linear(x.flatten(1)))


def test_linear_of_vectors():
    linear = HiddenLinear(12, 3, index=0)
    x = torch.rand(5, 12)
    expected = x.numpy() @ golden_weights(linear, 1, 0).reshape(3, 12).T
    np.testing.assert_allclose(linear(x).detach().numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("source", [BinaryWeights, DenseWeights])
def test_other_weights(source):
    conv = CodedConv2d(source((6, 3, 3, 4)), stride=2, padding=1)
    gain = torch.as_tensor(conv.weights.gain).view(-1, 1, 1, 1)
    weight = (conv.weights() * gain).permute(0, 3, 1, 2)
    x = torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(conv(x), functional.conv2d(x, weight, stride=2, padding=1))
    linear = CodedLinear(source((3, 2, 2, 4)))
    assert linear(torch.rand(2, 16)).shape == (2, 3)


@pytest.mark.parametrize("bias", [False, True])
def test_trains_scores_and_bias_only(bias):
    conv = HiddenConv2d(4, 6, 3, index=0, bias=bias)
    expected = {"weights.scores", "bias"} if bias else {"weights.scores"}
    assert {name for name, _ in conv.named_parameters()} == expected
    conv(torch.rand(2, 4, 5, 5)).square().sum().backward()
    # Straight through: also the scores of weights that are not kept.
    assert (conv.weights.scores.grad != 0).all()
    assert set(conv.state_dict()) == expected | {"_extra_state", "weights._extra_state"}


@pytest.mark.parametrize(("name", "value"), [("stride", 2), ("padding", 1), ("padding", (0, 1))])
@pytest.mark.parametrize("kind", ["hidden", "binary", "dense"])
def test_refuses_the_state_of_another_geometry(kind, name, value):
    def model(**options):
        return torch.nn.Sequential(LayerFactory(kind).conv(4, 6, 3, **options))

    pair = value if isinstance(value, tuple) else (value, value)
    message = f"layer '0': {name} must be {{}}, not {{}} as in the state"
    same = (1, 1) if name == "stride" else (0, 0)
    refuses = model()
    before = next(refuses.parameters()).clone()
    with pytest.raises(InputError, match=f"^{re.escape(message.format(same, pair))}$"):
        refuses.load_state_dict(model(**{name: value}).state_dict())
    assert torch.equal(next(refuses.parameters()), before)
    with pytest.raises(InputError, match=f"^{re.escape(message.format(pair, same))}$"):
        model(**{name: value}).load_state_dict(model().state_dict(), strict=False)
    model(**{name: value}).load_state_dict(model(**{name: value}).state_dict())


@pytest.mark.parametrize("strict", [True, False])
def test_refuses_a_state_that_does_not_tell_its_geometry(strict):
    conv = HiddenConv2d(4, 6, 3, index=0, bias=True)
    state = conv.state_dict()
    del state["_extra_state"]
    with pytest.raises(
        InputError, match=r"^the layer: state must have stride, padding, dilation, groups, not 'w"
    ):
        conv.load_state_dict(state, strict=strict)
    # A bias alone means the same everywhere.
    found = conv.load_state_dict({"bias": torch.ones(6)}, strict=False)
    assert "weights.scores" in found.missing_keys and (conv.bias == 1).all()


def test_names_what_it_is():
    conv = HiddenConv2d(4, 6, 3, 2, 1, index=0)
    assert "hidden, 4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)" in repr(conv)


def test_refuses_features_that_are_no_map():
    message = "^in_features must be a multiple of the map's 4 pixels, not 10$"
    with pytest.raises(InputError, match=message):
        HiddenLinear(10, 3, map_size=2, index=0)


@pytest.mark.parametrize("make", [HiddenConv2d, HiddenLinear])
def test_refuses_a_density(make):
    arguments = (4, 6, 3) if make is HiddenConv2d else (4, 6)
    with pytest.raises(InputError, match=r"^density must be above 0 and at most 1, not 2$"):
        make(*arguments, index=0, density=2)
