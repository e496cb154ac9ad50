import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)

EXAMPLE = torch.zeros(1, 2, 8, 8)
IMAGE = 1 / 255
SIX = 6 / 255
STEP = 1 / 64


class Model(nn.Module):
    """A model whose forward is a function of itself and the image."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        self.a, self.b = (nn.Conv2d(2, 2, 3, padding=1) for _ in range(2))
        self.relu, self.six, self.pool = nn.ReLU(), nn.ReLU6(), nn.AvgPool2d(2)
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def steps(function, **modules):
    """Return the units of the activations that are called, in the order of their modules."""
    hidden = hide(Model(function, **modules), EXAMPLE)
    called = []
    for name, module in hidden.named_modules():
        if isinstance(module, QuantizedReLU):
            module.register_forward_hook(
                lambda module, _, output, name=name: called.append((name, module.step))
            )
    hidden(EXAMPLE)
    return called


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda m, x: m.relu(m.a(x)), [("relu", STEP)]),
        (lambda m, x: m.six(m.a(x)), [("six", SIX)]),
        (lambda m, x: functional.hardtanh(m.a(x), 0, 0.5), [("hardtanh", 0.5 / 255)]),
        # There is nothing to rectify.
        (lambda m, x: m.six(m.relu(m.a(x))), [("relu", STEP), ("six", STEP)]),
        (lambda m, x: m.relu(m.six(m.a(x))), [("six", SIX), ("relu", SIX)]),
        (lambda m, x: m.a(m.relu(x)), [("relu", IMAGE)]),
        (lambda m, x: m.a(m.six(x)), [("six", IMAGE)]),
        (lambda m, x: m.a(m.relu(functional.pad(x, (1, 1, 1, 1)))), [("relu", IMAGE)]),
        # Averages have the range of what they average.
        (lambda m, x: m.pool(m.six(m.a(x))), [("six", SIX), ("pool.1", SIX)]),
        (lambda m, x: m.a(m.pool(x)), [("pool.1", IMAGE)]),
        (
            lambda m, x: m.relu(m.pool(m.six(m.a(x)))),
            [("six", SIX), ("pool.1", SIX), ("relu", SIX)],
        ),
        (
            lambda m, x: m.pool(m.six(m.a(m.pool(x)))),
            [("pool.1", SIX), ("six", SIX), ("pool.1", SIX)],
        ),
        (
            lambda m, x: functional.avg_pool2d(m.six(m.a(x)), 2).mean((2, 3)),
            [("six", SIX), ("avg_pool2d", SIX), ("mean", SIX)],
        ),
        # There is nothing to average.
        (lambda m, x: functional.avg_pool2d(m.a(x), 1), []),
        (lambda m, x: functional.adaptive_avg_pool2d(m.relu(m.a(x)), 8), [("relu", STEP)]),
        (lambda m, x: m.a(functional.max_pool2d(x, 8).mean((2, 3), keepdim=True)), []),
    ],
)
def test_steps(function, expected):
    assert steps(function) == expected


def test_windows_of_one_pixel_are_not_rounded():
    hidden = hide(nn.Sequential(nn.Conv2d(2, 3, 8), nn.AdaptiveAvgPool2d(1)), EXAMPLE)
    assert (hidden.eval()(torch.rand(16, 2, 8, 8)) < 0).any()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda m, x: m.relu(m.b(m.relu(m.six(m.a(m.relu(x)))))),
            "module 'relu' (ReLU): is called for activations of two units, 0.00392157 and"
            " 0.0235294: use a module for each",
        ),
        (
            lambda m, x: m.mean(m.mean(m.relu(m.a(x)))),
            "module 'mean' (AdaptiveAvgPool2d): must average everywhere or nowhere: use one module"
            " for each place",
        ),
        (
            lambda m, x: m.mean(m.relu(m.a(m.mean(x)))),
            "module 'mean' (AdaptiveAvgPool2d): must average everywhere or nowhere: use one module"
            " for each place",
        ),
    ],
)
def test_what_no_step_suits(function, message):
    modules = {"one": nn.AvgPool2d(1), "mean": nn.AdaptiveAvgPool2d(4)}
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        hide(Model(function, **modules), EXAMPLE)
