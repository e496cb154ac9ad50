import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn
from torch.nn import functional
from traced_models import calls, layers

from hiddenite.training.exporter.order import rectify_first


class Tracer(fx.Tracer):
    def is_leaf_module(self, module, qualified_name):
        return True


def order(function):
    """Return what a traced model calls behind `rectify_first`, which must not change its result."""
    model = calls(function, maximum=nn.MaxPool2d(3, 2, 1), adaptive=nn.AdaptiveMaxPool2d(2))
    traced = fx.GraphModule(model, Tracer().trace(model))
    x = torch.randn(2, 2, 8, 8)
    expected = traced(x)
    rectify_first(traced)
    assert torch.equal(traced(x), expected)
    return [node.target for node in traced.graph.nodes if node.op.startswith("call")]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda m, x: m.relu(m.maximum(x)), ["relu", "maximum"]),
        (lambda m, x: m.relu(m.adaptive(m.maximum(x))), ["relu", "maximum", "adaptive"]),
        (lambda m, x: m.maximum(m.relu(m.adaptive(x))), ["relu", "adaptive", "maximum"]),
        (lambda m, x: m.relu(x.amax((2, 3))), ["relu", "amax"]),
        (lambda m, x: m.maximum(m.relu(x)), ["relu", "maximum"]),
        (
            lambda m, x: [y := m.maximum(x), m.relu(y), m.adaptive(y)][1],
            ["maximum", "relu", "adaptive"],
        ),
    ],
)
def test_order(function, expected):
    assert order(function) == expected


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: functional.max_pool2d(x, 2),
        lambda x: functional.max_pool2d(input=x, kernel_size=2),
        lambda x: torch.max_pool2d(x, 2),
        lambda x: functional.adaptive_max_pool2d(x, 2),
    ],
)
def test_functions(pool):
    maximum = layers(calls(lambda m, x: m.relu(pool(m.conv(x)))))[1]
    assert maximum.inputs == ("conv",) and maximum.kernel == (2, 2)
