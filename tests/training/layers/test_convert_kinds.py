"""Models of unusual kinds that are right in every value, from the plain model to the file."""

import numpy as np
import pytest

from hiddenite.golden.inference import infer_layers

torch = pytest.importorskip("torch")

from torch import fx, nn
from torch.nn import functional

from hiddenite.training.exporter.export import export
from hiddenite.training.exporter.fold import fold
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)


class Chosen(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 3, padding=1)


class Frozen(nn.BatchNorm2d):
    """Always normalises by its running statistics."""

    def train(self, mode=True):
        return super().train(False)


class Overlapping(nn.MaxPool2d):
    def forward(self, x):
        return functional.max_pool2d(x, 3, 1, 1)


def block(conv=None, norm=None):
    return nn.Sequential(conv or Chosen(), norm or nn.BatchNorm2d(4), nn.ReLU())


def tail():
    return [nn.Flatten(), nn.Linear(4 * 6 * 8, 5)]


class Model(nn.Module):
    """A model whose forward is a function of itself and the image."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function, self.last = function, None
        self.block = block()
        self.conv, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x, scale=None, *, again=False):
        x = x if scale is None else x * scale
        return self.function(self, self.block(x) if not again else self.block(self.block(x)))


def kept(model, x):
    model.last = model.conv(x)
    return model.last


def added_in_place(model, x):
    y = model.conv(x)
    y += x
    return model.relu(y)


def looped(model, x):
    for convs in model.convs.values():
        for conv in convs:
            x = model.relu(conv(x))
    return x


def tied(model, x):
    return model.other(model.relu(model.conv(x)))


def tie(model):
    model.other.weight = model.conv.weight
    return model


def with_strides(model):
    return model.to(memory_format=torch.channels_last)


KINDS = {
    "class that chooses arguments": lambda: nn.Sequential(block(), *tail()),
    "double precision": lambda: nn.Sequential(block(), *tail()).double(),
    "channels last": lambda: with_strides(nn.Sequential(block(), *tail())),
    "evaluation mode": lambda: nn.Sequential(block(), *tail()).eval(),
    "traced by torch.fx": lambda: fx.symbolic_trace(
        nn.Sequential(block(nn.Conv2d(3, 4, 3, padding=1)), *tail())
    ),
    "frozen normalisation": lambda: nn.Sequential(block(norm=Frozen(4)), *tail()),
    "cumulative statistics": lambda: nn.Sequential(
        block(norm=nn.BatchNorm2d(4, momentum=None)), *tail()
    ),
    "normalisation without factors": lambda: nn.Sequential(
        block(norm=nn.BatchNorm2d(4, affine=False)), *tail()
    ),
    "pooling with a forward of its own": lambda: nn.Sequential(block(), Overlapping(2), *tail()),
    "average": lambda: nn.Sequential(block(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 5)),
    "dropout in place": lambda: nn.Sequential(block(), nn.Dropout(0.5, inplace=True), *tail()),
    "rectifier at 6": lambda: nn.Sequential(Chosen(), nn.BatchNorm2d(4), nn.ReLU6(), *tail()),
    "rectifier in place": lambda: nn.Sequential(Chosen(), nn.ReLU(inplace=True), *tail()),
    "padding that keeps the size": lambda: nn.Sequential(
        block(nn.Conv2d(3, 4, (3, 5), padding="same")), *tail()
    ),
    "tensor that forward keeps": lambda: Model(kept),
    "sum in place": lambda: Model(added_in_place),
    "layer at two sizes": lambda: Model(
        lambda m, x: m.conv(m.pool(m.relu(m.conv(x)))), pool=nn.MaxPool2d(2)
    ),
    "modules in lists in a dictionary": lambda: Model(
        looped,
        convs=nn.ModuleDict({name: nn.ModuleList([nn.Conv2d(4, 4, 1)]) for name in ("a", "b")}),
    ),
    "one weight in two layers": lambda: tie(Model(tied, other=nn.Conv2d(4, 4, 3, padding=1))),
    "functional dropout": lambda: Model(
        lambda m, x: m.conv(functional.dropout2d(x, 0.5, m.training))
    ),
    "branch on the mode": lambda: Model(lambda m, x: m.conv(x) + (1 if m.training else 0)),
    "constant bias": lambda: Model(lambda m, x: m.conv(x) + torch.arange(4.0).view(-1, 1, 1) - 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_of_the_file_is_the_models(kind, tmp_path):
    torch.manual_seed(2)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 6, 8, 3), np.uint8)
    plain = KINDS[kind]()
    dtype = next(plain.parameters()).dtype
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(dtype) / 255
    model = hide(plain, torch.rand(1, 3, 6, 8, dtype=dtype), density=0.5)
    for _ in range(30):
        model.train()(images)
    network = export(model, tmp_path / "a", images).network

    activations = []

    def note(module, _, output):
        activations.append(output / module.step)

    relus = [module for module in model.eval().modules() if isinstance(module, QuantizedReLU)]
    hooks = [module.register_forward_hook(note) for module in relus]
    with torch.no_grad():
        result = model(images)
    for hook in hooks:
        hook.remove()
    layers = infer_layers(network, pixels, [layer.name for layer in network.layers])
    stored = [layers[layer.name] for layer in network.layers if layer.op != "max_pool"]
    if stored[-1].dtype == np.int32:
        activations.append(result / fold(model, images).step_out)
    for found, expected in zip(stored, activations, strict=True):
        difference = found.transpose(0, 3, 1, 2).reshape(expected.shape) - expected.numpy()
        # Layers hand on what rounding their scales and biases has changed.
        most = 2 if found.dtype == np.uint8 else 0.05 * expected.numpy().std()
        assert abs(difference).max() <= most


def test_a_rectifier_in_place_of_what_is_rectified_already():
    model = Model(lambda m, x: m.relu(m.conv(m.effect(x)) + x), effect=nn.ReLU(inplace=True))
    hidden = hide(model, torch.rand(1, 3, 6, 8)).eval()
    images = torch.randint(0, 256, (4, 3, 6, 8)) / 255
    first, second = fold(hidden, images).layers
    assert second.inputs == (first.name, first.name)
