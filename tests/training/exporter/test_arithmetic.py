import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from traced_models import calls, conv, layers

from hiddenite.golden.errors import InputError

torch.set_num_threads(1)

STORED = "the stored activations 'conv'"
SIGNED = "the signed result of 'conv'"


class Normalize(nn.Module):
    """As torchvision's, which is known by its name."""

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, x):
        mean, std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (self.mean, self.std))
        return (x - mean) / std


Normalize.__module__ = "torchvision.transforms.transforms"


def affine_of(layer):
    """Return factor and offset with which a layer reads the image."""
    operand = layer.value.operand
    return operand.factor, None if operand.offset is None else operand.offset.tolist()


CONSTANT = torch.tensor([0.5, 0.25]).view(-1, 1, 1)


@pytest.mark.parametrize(
    ("change", "factor", "offset"),
    [
        (lambda m, x: x, 1, None),
        (lambda m, x: x * 2, 2, None),
        (lambda m, x: 0.5 * x, 0.5, None),
        (lambda m, x: x.mul(-3).div(2), -1.5, None),
        (lambda m, x: (x - 0.5) / 0.25, 4, [-2, -2]),
        (lambda m, x: (x - CONSTANT) / 0.25, 4, [-2, -1]),
        (lambda m, x: (x.sub(CONSTANT) * 4).add(1), 4, [-1, 0]),
        (lambda m, x: torch.divide(torch.subtract(x, CONSTANT), 0.25), 4, [-2, -1]),
        (lambda m, x: x + 0 * CONSTANT, 1, None),
        (lambda m, x: x - m.b, 1, [-0.5, -0.25]),
        (lambda m, x: m.normalize(x), 4, [-2, -1]),
        (lambda m, x: (functional.pad(x, (1, 1, 1, 1)) - 0.5) * 2, 2, [-1, -1]),
    ],
)
def test_constants_before_a_convolution(change, factor, offset):
    model = calls(
        lambda m, x: m.conv(change(m, x)),
        conv=conv(padding=0),
        b=nn.Parameter(CONSTANT, requires_grad=False),
        normalize=Normalize([0.5, 0.25], [0.25, 0.25]),
    )
    assert affine_of(layers(model)[0]) == (pytest.approx(factor), offset)


def test_normalisation_of_a_grey_image():
    norm = nn.BatchNorm2d(1, eps=0)
    norm.running_mean.fill_(0.5)
    norm.running_var.fill_(0.25)
    nn.init.constant_(norm.weight, -3.0)
    nn.init.constant_(norm.bias, 1.0)
    model = calls(
        lambda m, x: m.conv(m.norm(m.relu(m.first(x)))),
        first=conv(2, 1),
        norm=norm,
        conv=conv(1, 2, padding=0),
    )
    assert affine_of(layers(model)[1]) == (-6, [4])


@pytest.mark.parametrize(
    ("zeros", "padding"),
    [
        (nn.ZeroPad2d(1), (2, 2)),
        (nn.ZeroPad2d((1, 1, 0, 0)), (1, 2)),
        (nn.ConstantPad2d((0, 0, 1, 1), 0.0), (2, 1)),
        (nn.ZeroPad2d(0), (1, 1)),
        (calls(lambda m, x: functional.pad(functional.pad(x, (1, 0, 1, 1)), (0, 1))), (2, 2)),
    ],
)
def test_zeros_around_a_map_are_padding(zeros, padding):
    (layer,) = layers(nn.Sequential(zeros, conv()))
    assert layer.value.padding == padding
    assert layer.value.operand.input.shape == (2, 4, 4)


def test_factors_behind_a_convolution():
    gains = torch.tensor([0.5, -2.0]).view(-1, 1, 1)
    (layer,) = layers(calls(lambda m, x: (m.conv(x) * gains + 1) / 2))
    assert layer.value.affine.slope.tolist() == [0.25, -1]
    assert layer.value.affine.level.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            calls(lambda m, x: torch.add(m.conv(x), x, alpha=2)),
            "node 'add' (torch.add): alpha must be 1, not 2",
        ),
        (
            calls(lambda m, x: m.conv(x) + m.pool(x), pool=nn.AvgPool2d(3, 1, 1)),
            f"node 'add' (add): cannot add {SIGNED} and the average 'pool': put a QuantizedReLU"
            " behind the average",
        ),
        (
            calls(lambda m, x: m.conv(x) + m.second(x)),
            f"node 'add' (add): cannot add {SIGNED} and the signed result of 'second': the residual"
            " must be 8-bit activations: put a QuantizedReLU behind the shortcut",
        ),
        (
            calls(lambda m, x: m.relu(m.conv(x)) + x),
            "output: must be rounded to 8 bits, not the sum 'add': put a QuantizedReLU behind it",
        ),
        (
            calls(lambda m, x: m.conv(x) + x + m.relu(m.second(x))),
            f"node 'add_1' (add): cannot add {SIGNED} and the stored activations 'second': {SIGNED}"
            " has the residual 'image' already: put a QuantizedIdentity behind that sum",
        ),
        (
            calls(lambda m, x: m.conv(x) + m.pool(x), pool=nn.MaxPool2d(4)),
            "node 'add' (add): the stored activations 'pool' must have the shape (2, 4, 4) of"
            f" {SIGNED}, not (2, 1, 1)",
        ),
        (
            calls(lambda m, x: [y := m.conv(x), y.add_(1), m.relu(y)][2]),
            "node 'add_' (Tensor.add_): must not change a tensor that is used again: use +",
        ),
        (
            calls(lambda m, x: x - 0.5),
            "output: must be a layer's result, not what 'sub' makes of the stored activations"
            " 'image', which only a convolution reads",
        ),
        (
            calls(lambda m, x: 0.5 + m.relu(m.conv(x))),
            f"output: must be a layer's result, not what 'add' makes of {STORED}, which only a"
            " convolution reads",
        ),
        (
            calls(lambda m, x: m.conv(x) + m.b, b=nn.Parameter(torch.zeros(2, 1, 1, 1))),
            "node 'add' (add): a constant must be the same for all images",
        ),
        (
            calls(lambda m, x: m.conv(x) + m.b, b=nn.Parameter(torch.arange(4.0))),
            "node 'add' (add): a constant must be one number for each of the 2 channels",
        ),
        (
            calls(lambda m, x: m.conv(x) + m.b, b=nn.Parameter(torch.full((2, 1, 1), torch.nan))),
            "node 'add' (add): its numbers must be finite, which those of channel 0 are not",
        ),
        (
            calls(lambda m, x: 1 - m.conv(x)),
            "node 'sub' (sub): only a constant can be subtracted, and nothing from a constant",
        ),
        (
            calls(lambda m, x: m.conv(x) - x),
            "node 'sub' (sub): only a constant can be subtracted, and nothing from a constant",
        ),
        (
            calls(lambda m, x: m.conv(x) * x.mean()),
            "node 'mean' (Tensor.mean): must be over height and width, (2, 3), not None",
        ),
        (
            calls(lambda m, x: m.conv(x) * m.relu(m.second(x))),
            f"node 'mul' (mul): cannot multiply {SIGNED} and the stored activations 'second': only"
            " a constant can be a factor",
        ),
        (
            calls(lambda m, x: 2 / m.conv(x)),
            "node 'truediv' (truediv): only a constant can be a divisor, and the quotient must not"
            " be rounded",
        ),
        (
            calls(lambda m, x: torch.div(x, 2, rounding_mode="floor")),
            "node 'div' (torch.div): only a constant can be a divisor, and the quotient must not"
            " be rounded",
        ),
        (
            calls(lambda m, x: (m.conv(x) + x) * 2),
            "node 'mul' (mul): must be before the residual 'image' is added, not behind it: put a"
            " QuantizedIdentity behind it",
        ),
        (
            calls(lambda m, x: m.pool(x) * 2, pool=nn.AvgPool2d(2)),
            "node 'mul' (mul): stored activations or the signed result of a convolution or linear"
            " layer can be multiplied, not the average 'pool'",
        ),
        (
            calls(lambda m, x: m.pool(x) + 2, pool=nn.AvgPool2d(2)),
            "node 'add' (add): a constant can be added to stored activations or to the signed"
            " result of a convolution or linear layer, not to the average 'pool'",
        ),
        (
            calls(lambda m, x: m.conv(x / torch.tensor([1.0, 2.0]).view(-1, 1, 1))),
            "module 'conv' (HiddenConv2d): must read 8-bit activations, not what 'truediv' makes of"
            " each channel of the stored activations 'image': put a QuantizedIdentity before it",
        ),
        (
            calls(lambda m, x: m.conv(x * 0)),
            "node 'mul' (mul): its factor must not be 0",
        ),
        (
            calls(lambda m, x: m.conv(x / 0)),
            "node 'truediv' (truediv): its numbers must be finite, which those of channel 0 are"
            " not",
        ),
        (
            calls(lambda m, x: m.conv(x * m.gain), gain=nn.Parameter(torch.ones(()))),
            "node 'mul' (mul): its constant must stay the same in training: use a buffer, not a"
            " parameter",
        ),
        (
            calls(lambda m, x: m.conv(x - m.b.view(-1, 1, 1)), b=nn.Parameter(torch.ones(2))),
            "node 'sub' (sub): its constant must stay the same in training: use a buffer, not a"
            " parameter",
        ),
        (
            calls(lambda m, x: m.conv(x) + x * 2),
            f"node 'add' (add): cannot add {SIGNED} and what 'mul' makes of the stored activations"
            " 'image': add what is stored, without 'mul'",
        ),
        (
            calls(lambda m, x: [y := m.conv(x), y.mul_(2), m.relu(y)][2]),
            "node 'mul_' (Tensor.mul_): must not change a tensor that is used again: use *",
        ),
        (
            calls(lambda m, x: m.conv(functional.pad(x, (1, 1, 1, 1), "reflect"))),
            "node 'pad' (torch.nn.functional.pad): must pad with zeros, not with mode 'reflect'",
        ),
        (
            calls(lambda m, x: m.conv(functional.pad(x, (1, 1), value=0.5))),
            "node 'pad' (torch.nn.functional.pad): must pad with zeros, not with the value 0.5",
        ),
        (
            calls(lambda m, x: functional.pad(x, (0, 0, 0, 0, 0, 1))),
            "node 'pad' (torch.nn.functional.pad): must pad height and width alone, not by"
            " (0, 0, 0, 0, 0, 1)",
        ),
        (
            calls(lambda m, x: m.conv(functional.pad(x, (-1, 1)))),
            "node 'pad' (torch.nn.functional.pad): must not cut from a map, as (-1, 1) does",
        ),
        (
            calls(lambda m, x: m.relu(functional.pad(m.conv(x), (1, 1)))),
            f"node 'pad' (torch.nn.functional.pad): must pad 8-bit activations, not {SIGNED}: put"
            " the QuantizedReLU before it",
        ),
        (
            nn.Sequential(Normalize([0.5, 0.5], [0.5, 0.5]), nn.ZeroPad2d(1), conv(padding=0)),
            "module '1' (ZeroPad2d): must not pad with zeros what '0' has shifted: put a"
            " QuantizedIdentity behind that, pad before that, or shift nothing",
        ),
        (
            nn.Sequential(Normalize([0.5, 0.4], [0.2, 0.3]), conv(padding=0)),
            "module '1' (HiddenConv2d): must read 8-bit activations, not what '0' makes of each"
            " channel of the stored activations 'image': put a QuantizedIdentity before it",
        ),
        (
            nn.Sequential(Normalize([0.5, 0.4], [0.2, 0.2], inplace=True), conv(padding=0)),
            "module '0' (Normalize): must not change the image in place: use inplace=False",
        ),
    ],
)
def test_what_the_hardware_cannot_do(model, message):
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        layers(model)
