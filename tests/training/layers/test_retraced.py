import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn
from torch.nn import functional

from hiddenite.training.layers.retraced import give_forward


class Scaled(nn.Module):
    """Has what a module of its class could lose with another forward."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3)])
        self.unused = nn.Linear(1, 1)
        self.scale = 2.0

    def forward(self, x):
        return self.layers[0](x) * self.scale + float("inf") * 0

    def train(self, mode=True):
        return super().train(False)

    def penalty(self):
        return self.scale


def doubled():
    """A module whose forward has been replaced by one that doubles a rectifier."""
    module = Scaled()

    def forward(x):
        return functional.relu(module.layers[0](x)) * 2

    graph = fx.Graph()
    source = graph.placeholder("x")
    linear = graph.call_module("layers.0", (source,))
    rectified = graph.call_function(functional.relu, (linear,))
    graph.output(graph.call_function(torch.mul, (rectified, 2)))
    give_forward(module, graph)
    return module, forward


def test_computes_what_the_graph_does():
    module, forward = doubled()
    x = torch.rand(4, 3)
    assert torch.equal(module(x), forward(x))


def test_keeps_all_else():
    module, _ = doubled()
    assert isinstance(module, Scaled) and type(module).__name__ == "Scaled"
    assert type(module).__module__ == Scaled.__module__
    assert list(dict(module.named_children())) == ["layers", "unused"]
    assert isinstance(module.layers, nn.ModuleList)
    assert module.penalty() == 2
    assert not module.train().training


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(again):
    # Not one of which nothing passes the rectifier.
    torch.manual_seed(0)
    module, _ = doubled()
    other, x = again(module), torch.rand(4, 3)
    assert module(x).any()
    assert type(other) is type(module)
    assert other.layers[0] is not module.layers[0]
    assert torch.equal(other(x), module(x))
    other.layers[0].weight.data.zero_()
    assert not torch.equal(other(x), module(x))


def test_graph_modules():
    module, _ = doubled()
    traced = fx.symbolic_trace(module)
    give_forward(traced, fx.symbolic_trace(nn.Sequential(nn.ReLU())).graph)
    traced.add_module("0", nn.ReLU())
    x = torch.randn(4, 3)
    assert torch.equal(copy.deepcopy(traced)(x), functional.relu(x))
