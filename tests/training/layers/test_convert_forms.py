"""The forms in which people write models, each from the plain model to the file."""

import pytest

torch = pytest.importorskip("torch")

import operator

from exported_models import check_export, random_images, trained
from torch import nn
from torch.nn import functional

from hiddenite.golden.inference import infer
from hiddenite.training.exporter.export import export
from hiddenite.training.exporter.fold import fold
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)

IMAGES = random_images(8, (3, 8, 8))
GREY = random_images(8, (1, 8, 8))


class Model(nn.Module):
    """A model whose forward is a function of itself and the image."""

    def __init__(self, function, channels=3, **modules):
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.second, self.bare = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(channels, 6, 3)
        self.relu = nn.ReLU()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor([0.25, 0.25, 0.25]).view(-1, 1, 1))
        for name, module in modules.items():
            setattr(self, name, module)

    def first(self, x):
        """Return the signed result of the first layer."""
        return self.norm(self.conv(x))

    def forward(self, x):
        return self.function(self, x)


def rectified(function):
    return lambda: Model(lambda m, x: m.second(m.op(m.first(x))), op=function)


def pooled(function, size=4):
    """A model that ends with a linear layer behind a pooling."""
    return lambda: Model(
        lambda m, x: m.linear(torch.flatten(m.op(m.relu(m.first(x))), 1)),
        op=function,
        linear=nn.Linear(6 * size * size, 5),
    )


def residual(function):
    def forward(m, x):
        x = m.relu(m.first(x))
        return m.relu(function(m.second(x), x))

    return lambda: Model(forward)


def added_in_place(y, x):
    y += x
    return y


def ended(function):
    return lambda: Model(
        lambda m, x: m.op(m.linear(m.relu(m.first(x)).flatten(1))),
        op=function,
        linear=nn.Linear(384, 5),
    )


GAINS = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, -1.0]).view(-1, 1, 1)

RECTIFIERS = {
    "functional relu": functional.relu,
    "functional relu in place": lambda x: functional.relu(x, inplace=True),
    "functional relu by name": lambda x: functional.relu(input=x),
    "relu_": functional.relu_,
    "torch relu": torch.relu,
    "method relu": lambda x: x.relu(),
    "method relu_": lambda x: x.relu_(),
    "functional relu6": functional.relu6,
    "functional hardtanh": lambda x: functional.hardtanh(x, 0, 2.5),
    "functional hardtanh by name": lambda x: functional.hardtanh(x, min_val=0.0, max_val=1.0),
    "hardtanh_": lambda x: functional.hardtanh_(x, 0, 4),
    "clamp": lambda x: torch.clamp(x, 0, 2),
    "clamp from 0": lambda x: x.clamp(min=0),
    "clamp_": lambda x: x.clamp_(0, 6),
    "clip": lambda x: torch.clip(x, min=0, max=1.5),
    "clamp_min": lambda x: x.clamp_min(0),
    "ReLU6": nn.ReLU6(),
    "Hardtanh": nn.Hardtanh(0, 1.25),
    "Hardtanh in place": nn.Hardtanh(0, 2, inplace=True),
    "twice": lambda x: functional.relu(torch.relu(x)),
    "relu of a relu6": lambda x: functional.relu(functional.relu6(x)),
    "contiguous": lambda x: x.contiguous().relu().contiguous(),
    "clone": lambda x: functional.relu(x.clone()),
    "behind functional dropout": lambda x: functional.relu(functional.dropout(x, training=False)),
}

POOLS = {
    "functional maximum": (lambda x: functional.max_pool2d(x, 2), 4),
    "torch maximum": (lambda x: torch.max_pool2d(x, 2, 2), 4),
    "overlapping maximum": (lambda x: functional.max_pool2d(x, 3, 2, 1), 4),
    "rounded up for nothing": (lambda x: functional.max_pool2d(x, 2, ceil_mode=True), 4),
    "functional average": (lambda x: functional.avg_pool2d(x, 2), 4),
    "average with padding": (lambda x: functional.avg_pool2d(x, 3, 2, 1), 4),
    "average rounded up for nothing": (nn.AvgPool2d(4, ceil_mode=True), 2),
    "adaptive average": (lambda x: functional.adaptive_avg_pool2d(x, (2, 2)), 2),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d(4), 4),
    "AdaptiveAvgPool2d of the same size": (nn.AdaptiveAvgPool2d(8), 8),
    "adaptive maximum": (lambda x: functional.adaptive_max_pool2d(x, 2), 2),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d((4, 4)), 4),
    "mean": (lambda x: x.mean((2, 3)), 1),
    "mean of the last axes": (lambda x: torch.mean(x, dim=[-2, -1], keepdim=True), 1),
    "amax": (lambda x: x.amax(dim=(2, 3)), 1),
    "zeros before a maximum": (lambda x: functional.max_pool2d(functional.pad(x, (1,) * 4), 2), 5),
    "zeros before an average": (nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(2)), 5),
    "padding beyond half of the kernel": (nn.Sequential(nn.ZeroPad2d(2), nn.MaxPool2d(3)), 4),
    "average of an average": (lambda x: functional.avg_pool2d(functional.avg_pool2d(x, 2), 2), 2),
    "relu behind an average": (lambda x: functional.avg_pool2d(x, 2).relu(), 4),
    "average of a clip": (lambda x: functional.avg_pool2d(functional.relu6(x), 2), 4),
}

FIRST = {  # maximum poolings before the rectifier
    "maximum": lambda x: functional.relu(functional.max_pool2d(x, 2)),
    "maximum with padding": lambda x: functional.relu(functional.max_pool2d(x, 3, 2, 1)),
    "modules": nn.Sequential(nn.MaxPool2d(2), nn.ReLU()),
    "clip": nn.Sequential(nn.MaxPool2d(2), nn.ReLU6(inplace=True)),
    "two maxima": lambda x: functional.relu(functional.max_pool2d(functional.max_pool2d(x, 2), 2)),
    "adaptive maximum": lambda x: functional.relu(functional.adaptive_max_pool2d(x, 2)),
    "amax": lambda x: functional.relu(x.amax((2, 3), keepdim=True)),
    "average of one pixel": lambda x: functional.relu(functional.avg_pool2d(x, 1)),
}

MODELS = {
    **{f"rectifier: {name}": rectified(f) for name, f in RECTIFIERS.items()},
    **{f"pooling: {name}": pooled(*arguments) for name, arguments in POOLS.items()},
    **{f"rectified {name}": rectified(f) for name, f in FIRST.items()},
    "residual: +": residual(lambda y, x: x + y),
    "residual: torch.add": residual(torch.add),
    "residual: +=": residual(added_in_place),
    "residual: iadd": residual(operator.iadd),
    "residual: add_": residual(lambda y, x: y.add_(x)),
    "residual: functional relu": lambda: Model(
        lambda m, x: functional.relu(
            m.second(functional.relu(m.first(x)))
            + functional.relu(m.bare(functional.pad(x, (1, 1, 1, 1))))
        )
    ),
    "residual: a sum of a list": residual(lambda y, x: sum([y, x])),
    "flatten: view": lambda: Model(
        lambda m, x: m.linear(m.relu(m.first(x)).view(-1, 384)), linear=nn.Linear(384, 5)
    ),
    "flatten: reshape": lambda: Model(
        lambda m, x: m.linear(m.relu(m.first(x)).reshape(x.shape[0], -1)), linear=nn.Linear(384, 5)
    ),
    "flatten: module": lambda: Model(
        lambda m, x: m.linear(m.flatten(m.relu(m.first(x)))),
        flatten=nn.Flatten(),
        linear=nn.Linear(384, 5),
    ),
    "flatten: squeeze": lambda: Model(
        lambda m, x: m.linear(m.pool(m.relu(m.first(x))).squeeze(-1).squeeze(-1)),
        pool=nn.AdaptiveAvgPool2d(1),
        linear=nn.Linear(6, 5),
    ),
    "functional dropout": lambda: Model(
        lambda m, x: m.second(functional.dropout(functional.relu(m.first(x)), 0.3, m.training))
    ),
    "functional dropout in place": lambda: Model(
        lambda m, x: m.second(
            functional.dropout2d(functional.relu(m.first(x)), training=m.training, inplace=True)
        )
    ),
    "Dropout3d and Identity": lambda: Model(
        lambda m, x: m.second(m.drop(m.relu(m.first(x)))),
        drop=nn.Sequential(nn.Dropout3d(), nn.Identity()),
    ),
    "zeros: module": lambda: Model(lambda m, x: m.bare(m.zeros(x)), zeros=nn.ZeroPad2d(1)),
    "zeros: function": lambda: Model(lambda m, x: m.bare(functional.pad(x, (2, 2, 1, 1)))),
    "zeros beside the padding": lambda: Model(
        lambda m, x: m.second(functional.pad(m.relu(m.first(x)), [1, 1])),
    ),
    "zeros that are not read": lambda: Model(
        lambda m, x: m.even(functional.pad(x, (0, 1, 0, 1))), even=nn.Conv2d(3, 4, 2, 2)
    ),
    "image: mean and deviation": lambda: Model(lambda m, x: m.bare((x - m.mean) / m.std)),
    "image: numbers": lambda: Model(lambda m, x: m.bare((x - 0.5) * 2)),
    "image: deviation and padding": lambda: Model(lambda m, x: m.conv(x / m.std)),
    "image: padded first": lambda: Model(
        lambda m, x: m.bare((functional.pad(x, (1, 1, 1, 1)) - m.mean) / m.std)
    ),
    "image: batch normalisation": lambda: Model(
        lambda m, x: m.norm(m.bare(m.input(x))), channels=1, input=nn.BatchNorm2d(1)
    ),
    "grey activations: batch normalisation": lambda: Model(
        lambda m, x: m.last(m.input(functional.relu(m.grey(x)))),
        grey=nn.Conv2d(3, 1, 3),
        input=nn.BatchNorm2d(1),
        last=nn.Conv2d(1, 4, 3),
    ),
    "activations times a number": lambda: Model(
        lambda m, x: m.second(functional.relu(m.first(x)) * 0.5)
    ),
    "factor behind a convolution": lambda: Model(lambda m, x: functional.relu(m.first(x) * GAINS)),
    "end: softmax": ended(lambda x: functional.softmax(x, 1)),
    "end: log_softmax": ended(lambda x: functional.log_softmax(x, dim=-1)),
    "end: Softmax": ended(nn.Softmax(dim=1)),
    "end: LogSoftmax": ended(nn.LogSoftmax(1)),
    "end: method": ended(lambda x: x.softmax(1)),
    "end: argmax": ended(lambda x: torch.argmax(x, 1)),
    "end: argmax of maps": lambda: Model(lambda m, x: m.second(m.relu(m.first(x))).argmax(dim=1)),
    "end: Softmax2d": lambda: Model(
        lambda m, x: m.end(m.second(m.relu(m.first(x)))), end=nn.Softmax2d()
    ),
}


@pytest.mark.filterwarnings("ignore:.* is left to the host")
@pytest.mark.parametrize("name", MODELS)
def test_every_value_of_the_file_is_the_models(name, tmp_path):
    torch.manual_seed(3)
    model = MODELS[name]()
    images = GREY if model.conv.in_channels == 1 else IMAGES
    check_export(trained(model, images), tmp_path / "a", images)


class Mnist(nn.Module):
    """The network of PyTorch's own example for MNIST in its first form."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = functional.relu(functional.max_pool2d(self.conv1(x), 2))
        x = functional.relu(functional.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 320)
        x = functional.relu(self.fc1(x))
        x = functional.dropout(x, training=self.training)
        x = self.fc2(x)
        return functional.log_softmax(x, dim=1)


def test_the_example_of_pytorch(tmp_path):
    torch.manual_seed(0)
    images, labels = random_images(20, (1, 28, 28)), torch.arange(20) % 10
    word = (
        r"^node 'log_softmax' \(torch\.nn\.functional\.log_softmax\): is left to the host: the"
        r" network's result is what goes into it$"
    )
    with pytest.warns(UserWarning, match=word):
        model = hide(Mnist(), images[:1])
    assert isinstance(model, Mnist)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    first = functional.nll_loss(model(images), labels)
    first.backward()
    optimizer.step()
    with pytest.warns(UserWarning, match=word):
        report = export(model, tmp_path / "a", images)
    assert report.model_classes == 1
    assert [layer.op for layer in report.network.layers] == ["conv", "max_pool"] * 2 + ["conv"] * 2
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    logits = torch.from_numpy(infer(report.network, pixels)).flatten(1)
    with torch.no_grad():
        assert torch.equal(logits.argmax(1), model.eval()(images).argmax(1))
    with pytest.warns(UserWarning, match=word):
        folded = fold(model, images)
    assert torch.allclose(folded(images).exp().sum(1), torch.ones(20))
    assert torch.equal(folded(images).argmax(1), logits.argmax(1))
