import re

import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn
from torch.nn import functional

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.functional import AverageEnd, with_modules

torch.set_num_threads(1)


class Calls(nn.Module):
    """A model whose forward is a function of itself and the image."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x, again=False):
        x = self.function(self, x)
        return self.function(self, x) if again else x


def made(function, **modules):
    """Return what with_modules makes of a model, and its places."""
    model = Calls(function, **modules)
    return model, with_modules(model)


def same(module, other):
    """Return whether two modules are of one class and have the same arguments."""
    return repr(module) == repr(other) and type(module) is type(other)


@pytest.mark.parametrize(
    ("function", "module"),
    [
        (functional.relu, nn.ReLU()),
        (lambda x: functional.relu(x, inplace=True), nn.ReLU(inplace=True)),
        (functional.relu_, nn.ReLU(inplace=True)),
        (torch.relu, nn.ReLU()),
        (lambda x: x.relu(), nn.ReLU()),
        (lambda x: x.relu_(), nn.ReLU(inplace=True)),
        (lambda x: functional.relu6(x, inplace=True), nn.ReLU6(inplace=True)),
        (functional.hardtanh, nn.Hardtanh()),
        (lambda x: functional.hardtanh_(x, 0, 2), nn.Hardtanh(0, 2, inplace=True)),
        (lambda x: x.clamp(0), nn.ReLU()),
        (lambda x: torch.clip(x, 0.0, 3), nn.Hardtanh(0.0, 3)),
        (lambda x: x.clamp_min_(0), nn.ReLU(inplace=True)),
    ],
)
def test_rectifiers(function, module):
    model, places = made(lambda m, x: function(x + 0))
    (name,) = places
    assert same(model.get_submodule(name), module)
    x = torch.randn(4, 3) * 4
    assert torch.equal(model(x), function(x.clone()))
    traced = fx.symbolic_trace(model)
    assert {node.op for node in traced.graph.nodes} == {
        "placeholder",
        "call_function",
        "call_module",
        "output",
    }


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.clamp(max=6),
        lambda x: x.clamp(-1, 1),
        lambda x: torch.clamp(x, 0, -1),
        lambda x: torch.clamp(x, torch.zeros(3), torch.ones(3)),
        functional.gelu,
        lambda x: x.max(),
    ],
)
def test_what_stays_a_function(function):
    model, places = made(lambda m, x: function(x))
    assert not places and type(model) is Calls


def test_averages_keep_their_function():
    model, places = made(lambda m, x: functional.avg_pool2d(x, 2).mean((2, 3)))
    assert places == {
        "avg_pool2d": "node 'avg_pool2d' (torch.nn.functional.avg_pool2d)",
        "mean": "node 'mean' (Tensor.mean)",
    }
    assert isinstance(model.mean, AverageEnd)
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(model(x), functional.avg_pool2d(x, 2).mean((2, 3)))


def test_names_that_are_taken():
    model, places = made(
        lambda m, x: m.relu(functional.relu(functional.relu(x))), relu=nn.ReLU(), relu_2=nn.ReLU()
    )
    assert list(places) == ["relu_1", "relu_1_1"]
    assert places["relu_1_1"] == "node 'relu_1' (torch.nn.functional.relu)"
    assert len(list(model.children())) == 4


def test_only_the_module_that_calls_functions_is_changed():
    inner = Calls(lambda m, x: functional.relu(x))
    model, places = made(lambda m, x: m.b(m.a(x)) + 1, a=inner, b=nn.Sequential(inner, nn.ReLU()))
    assert places == {"a.relu": "node 'relu' in 'a' (torch.nn.functional.relu)"}
    assert type(model) is Calls and type(model.a) is not Calls
    assert model.a is model.b[0]


@pytest.mark.parametrize(
    ("dropout", "axes"), [("dropout", 1), ("dropout1d", 3), ("dropout2d", 4), ("dropout3d", 5)]
)
def test_dropout_follows_the_mode(dropout, axes):
    function = getattr(functional, dropout)
    model, places = made(lambda m, x: function(functional.relu(x), 0.25, m.training))
    assert places[dropout] == f"node '{dropout}' (torch.nn.functional.{dropout})"
    assert model.get_submodule(dropout).p == 0.25
    x = torch.ones(1, 64, 2, 2, 2).flatten(0, -axes)
    assert model.train()(x).unique().tolist() == [0, pytest.approx(4 / 3)]
    assert torch.equal(model.eval()(x), x)


def test_dropout_that_does_not_follow_the_mode():
    model, places = made(
        lambda m, x: functional.dropout(functional.relu(x), 0.25, False) + functional.dropout(x, 0)
    )
    assert list(places) == ["relu"]
    assert torch.equal(model(torch.ones(9)), torch.full((9,), 2.0))


def test_a_model_in_evaluation_mode():
    model = Calls(lambda m, x: functional.dropout(functional.relu(x), training=m.training)).eval()
    with_modules(model)
    assert not model.dropout.training
    assert model.train().dropout.training


def test_constants_of_a_trace():
    model, _ = made(lambda m, x: functional.relu(x + torch.tensor([1.0, -3.0])))
    assert model(torch.ones(2)).tolist() == [2, 0]
    assert not model.state_dict()


def test_graph_modules():
    model = fx.symbolic_trace(nn.Sequential(nn.Conv2d(1, 1, 1)))
    with model.graph.inserting_before(
        next(node for node in model.graph.nodes if node.op == "output")
    ):
        (conv,) = [node for node in model.graph.nodes if node.op == "call_module"]
        relu = model.graph.call_function(torch.relu, (conv,))
    conv.replace_all_uses_with(relu, lambda user: user is not relu)
    model.recompile()
    assert list(with_modules(model)) == ["relu"]
    x = torch.randn(1, 1, 4, 4)
    assert torch.equal(model(x), torch.relu(model.get_submodule("0")(x)))


def kept(model, x):
    model.last = functional.relu(x)
    return model.last


def test_what_forward_keeps_is_not_of_a_trace():
    model, _ = made(kept, last=None)
    assert model.last is None
    assert torch.equal(model(torch.ones(1)), torch.ones(1))


MODES = (
    "forward must do the same in training as in evaluation mode, but for dropout, as it calls"
    " torch.relu: use a module for that, such as nn.ReLU"
)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: torch.relu(x) * (2 if m.training else 1),
        lambda m, x: torch.relu(x) if m.training else torch.relu(x) + 1,
        lambda m, x: torch.relu(x) + torch.tensor(2.0 if m.training else 1.0),
        lambda m, x: functional.dropout(torch.relu(x), 0.5 if m.training else 0.1, m.training),
        lambda m, x: functional.dropout(torch.relu(x), 0.5, not m.training),
        lambda m, x: torch.relu(x) if m.training else torch.relu(x + 1),
    ],
)
def test_modes_that_differ(function):
    with pytest.raises(InputError, match=f"^the model \\(Calls\\): {re.escape(MODES)}$"):
        made(function)
    inner = Calls(function)
    with pytest.raises(InputError, match=f"^module 'inner' \\(Calls\\): {re.escape(MODES)}$"):
        made(lambda m, x: m.inner(x), inner=inner)


def test_training_that_cannot_be_traced():
    message = (
        "the model (Calls): forward must do the same for every image, so that torch.fx can trace"
        " it, not stop with: symbolically traced variables cannot be used as inputs to control flow"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        made(lambda m, x: torch.relu(x) if not m.training or x.sum() > 0 else x)


class Joint(nn.Module):
    """Takes arguments by which it branches."""

    def forward(self, x, other=None, *, twice=False):
        if other is not None:
            x = x + other
        return torch.relu(x) * (2 if twice else 1)


def test_arguments_of_a_call():
    model, _ = made(lambda m, x: m.joint(x, x, twice=True), joint=Joint())
    assert model(torch.ones(1)).item() == 4
    model, _ = made(lambda m, x: m.joint(m.joint(x, other=x), other=x * 2), joint=Joint())
    assert model(torch.ones(1)).item() == 4
    model, _ = made(lambda m, x: m.joint(x, None, twice=False), joint=Joint())
    assert model(torch.ones(1)).item() == 1
    model, _ = made(lambda m, x: m.joint(x), joint=Joint())
    with pytest.raises(TypeError, match="unexpected keyword argument 'twice'"):
        model.joint(torch.ones(1), twice=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.joint(m.joint(x), x),
        lambda m, x: m.joint(m.joint(x, twice=True), twice=False),
    ],
)
def test_calls_that_differ(function):
    message = (
        "module 'joint' (Joint): must be called with the same arguments but tensors each time, as"
        " it calls torch.relu: use a module for that, such as nn.ReLU"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        made(function, joint=Joint())
