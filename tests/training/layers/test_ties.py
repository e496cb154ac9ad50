import pytest

torch = pytest.importorskip("torch")

from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.export import export
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)


class Two(nn.Module):
    """Two convolutions, or two linear layers behind them."""

    def __init__(self, linear=False):
        super().__init__()
        self.a, self.b = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.norm, self.relu = nn.BatchNorm2d(3), nn.ReLU()
        self.tail = nn.ModuleList()
        if linear:
            self.tail = nn.ModuleList([nn.Flatten(), nn.Linear(48, 48), self.relu])
            self.tail.append(nn.Linear(48, 48))

    def forward(self, x):
        x = self.b(self.relu(self.norm(self.a(x))))
        for module in self.tail:
            x = module(self.relu(x) if isinstance(module, nn.Flatten) else x)
        return x


EXAMPLE = torch.rand(2, 3, 4, 4)
ALONE = "as well: a hidden layer shares what it learns only with layers of its kind"


def test_one_weight_in_two_modules_stays_one(tmp_path):
    model = Two()
    model.b.weight = model.a.weight
    hidden = hide(model, EXAMPLE)
    assert hidden.a is not hidden.b
    assert hidden.a.weights is hidden.b.weights
    assert hidden.a.bias is not hidden.b.bias
    assert len(list(hidden.parameters())) == 5
    images = torch.randint(0, 256, (8, 3, 4, 4)) / 255
    for _ in range(20):
        hidden(images)
    network = export(hidden, tmp_path / "a", images).network
    assert [layer.index for layer in network.layers] == [0, 0]
    assert (network.layers[0].mask == network.layers[1].mask).all()


def test_indexes_behind_a_shared_weight():
    model = Two(linear=True)
    model.b.weight = model.a.weight
    hidden = hide(model, EXAMPLE)
    layers = [hidden.a, hidden.b, hidden.tail[1], hidden.tail[3]]
    assert [layer.weights.index for layer in layers] == [0, 0, 1, 2]


def test_one_bias_in_two_modules_stays_one():
    model = Two()
    model.b.bias = model.a.bias
    hidden = hide(model, EXAMPLE)
    assert hidden.a.bias is hidden.b.bias
    assert hidden.a.weights is not hidden.b.weights


def test_one_parameter_in_two_normalisations_stays_one():
    norms = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    norms[1].weight = norms[0].weight
    hidden = hide(nn.Sequential(nn.Conv2d(3, 3, 1), norms), EXAMPLE)
    assert hidden[1][0].weight is hidden[1][1].weight


def tie_to_norm(model):
    model.norm.bias = model.a.bias


def tie_to_model(model):
    model.kernel = model.b.weight


def tie_kinds(model):
    model.tail[1].bias = model.tail[3].weight


def tie_maps(model):
    model.tail[3].weight = model.tail[1].weight


def tie_memory(model):
    model.b.weight = nn.Parameter(model.a.weight.data)


def tie_transposed(model):
    model.tail[3].weight = nn.Parameter(model.tail[1].weight.t())


@pytest.mark.parametrize(
    ("tie", "message"),
    [
        (
            tie_to_norm,
            "module 'norm' (BatchNorm2d): its bias must not be the bias of module 'a' (Conv2d)"
            f" {ALONE}",
        ),
        (
            tie_to_model,
            f"module 'b' (Conv2d): its weight must not be the kernel of the model (Two) {ALONE}",
        ),
        (
            tie_kinds,
            "module 'tail.3' (Linear): its weight must not be the bias of module 'tail.1' (Linear)"
            f" {ALONE}",
        ),
        (
            tie_maps,
            "module 'tail.3' (Linear): shares its weight with module 'tail.1' (Linear), and so must"
            " read maps of 4 x 4 too, not of 1 x 1",
        ),
        (
            tie_memory,
            "module 'b' (Conv2d): its weight must not lie where the weight of module 'a' (Conv2d)"
            " does: let both be one parameter, or copy it",
        ),
        (
            tie_transposed,
            "module 'tail.3' (Linear): its weight must not lie where the weight of module 'tail.1'"
            " (Linear) does: let both be one parameter, or copy it",
        ),
    ],
)
def test_refuses_what_no_hidden_layers_share(tie, message):
    model = Two(linear=True)
    tie(model)
    with pytest.raises(InputError) as error:
        hide(model, EXAMPLE)
    assert str(error.value) == message
