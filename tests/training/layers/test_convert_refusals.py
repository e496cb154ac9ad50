import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)

EXAMPLE = torch.zeros(1, 3, 12, 8)


class Model(nn.Module):
    """A model of two convolutions whose forward is a function of itself and the image."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function, self.calls = function, 0
        self.a, self.b = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.norm, self.relu = nn.BatchNorm2d(3), nn.ReLU()
        self.in_place = nn.ReLU(inplace=True)
        self.pool, self.average = nn.MaxPool2d(2), nn.AvgPool2d(2)
        self.linear, self.wide = nn.Linear(288, 4), nn.Linear(8, 4)
        self.parameter = nn.Parameter(torch.ones(3, 3, 3, 3))
        self.listed = [self.a]
        self.register_buffer("count", torch.zeros(()))
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


class Doubled(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x) * 2


class Always(nn.Dropout):
    def train(self, mode=True):
        return super().train(True)


class Inner(nn.Module):
    """A module whose forward is a function of itself and its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(self, x)


class Leaky(nn.Module):
    def forward(self, x):
        return functional.leaky_relu(x)


def counted(model, x):
    model.calls += 1
    return model.a(x) + model.calls % 2


def counted_in_a_buffer(model, x):
    model.count.add_(1)
    return model.a(x)


def summed_under_another_name(model, x):
    stored = model.relu(model.a(x))
    signed = other = model.b(stored)
    other += stored
    return model.a(model.relu(signed))


def summed_in_a_view(model, x):
    stored = model.relu(model.a(x))
    stored.view(x.shape).add_(model.b(x))
    return model.b(stored)


def under_autocast(model, x):
    with torch.autocast("cpu", torch.bfloat16):
        return model.a(x)


def rectified_for_its_effect(model, x):
    y = model.a(x)
    model.in_place(y)
    return y


def rectified_in_a_view(model, x):
    y = model.a(x)
    return model.in_place(y.view(x.shape)) + y


TRACED = "forward must do the same for every image, so that torch.fx can trace it, not stop with:"
SAME = "forward must give the same result each time in evaluation mode, not"
TRACE = "forward must do what torch.fx traced, not give"
SIGNED = "the signed result of"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda m, x: functional.gelu(m.a(x)),
            "node 'gelu' (torch.nn.functional.gelu): has no 8-bit output: use nn.ReLU",
        ),
        (
            lambda m, x: m.a(x).tanh(),
            "node 'tanh' (Tensor.tanh): has no 8-bit output: use nn.ReLU",
        ),
        (
            lambda m, x: m.a(x).clamp(-1, 1),
            "node 'clamp' (Tensor.clamp): has no 8-bit output: use nn.ReLU",
        ),
        (
            lambda m, x: torch.clamp(m.a(x), 0, m.count + 1),
            "node 'clamp' (torch.clamp): has no 8-bit output: use nn.ReLU",
        ),
        (
            lambda m, x: functional.hardtanh(m.a(x)),
            "node 'hardtanh' (torch.nn.functional.hardtanh): min_val must be 0, not -1: stored"
            " activations have no sign",
        ),
        (
            Model(lambda m, x: m.clip(m.a(x)), clip=nn.Hardtanh(-2, 2)),
            "module 'clip': min_val must be 0, not -2: stored activations have no sign",
        ),
        (
            Model(lambda m, x: m.clip(m.pool(m.relu(m.a(x)))), clip=nn.Hardtanh(0, 2)),
            "module 'clip' (Hardtanh): must not cut at 2 what is stored already, up to 3.98438:"
            " call it for a convolution's result, or leave it out",
        ),
        (
            lambda m, x: functional.relu6(functional.avg_pool2d(m.relu(m.a(x)), 2)).clamp(0, 1),
            "node 'clamp' (Tensor.clamp): must not cut at 1 what is stored already, up to 3.98438:"
            " call it for a convolution's result, or leave it out",
        ),
        (
            lambda m, x: functional.relu(m.a(x)) + (1 if m.training else 0),
            "the model (Model): forward must do the same in training as in evaluation mode, but for"
            " dropout, as it calls torch.nn.functional.relu: use a module for that, such as"
            " nn.ReLU",
        ),
        (
            Model(
                lambda m, x: m.inner(m.a(x)),
                inner=Inner(lambda m, x: x.relu() if m.training else torch.relu(x)),
            ),
            "module 'inner' (Inner): forward must do the same in training as in evaluation mode,"
            " but for dropout, as it calls torch.relu: use a module for that, such as nn.ReLU",
        ),
        (
            lambda m, x: functional.relu(m.a(x) + torch.tensor(1.0 if m.training else 0.0)),
            "the model (Model): forward must do the same in training as in evaluation mode, but for"
            " dropout, as it calls torch.nn.functional.relu: use a module for that, such as"
            " nn.ReLU",
        ),
        (
            Model(lambda m, x: m.leaky(m.a(x)), leaky=Leaky()),
            "node 'leaky_relu' in 'leaky' (torch.nn.functional.leaky_relu): has no 8-bit output:"
            " use nn.ReLU",
        ),
        (
            lambda m, x: m.norm(functional.pad(m.relu(m.a(x)), (1, 1))),
            "module 'norm' (BatchNorm2d): must not change what 'pad' makes of the stored"
            " activations 'a' for each channel: pad behind that",
        ),
        (
            lambda m, x: m.pool(functional.pad(m.a(x), (0, 1))),
            "module 'pool' (MaxPool2d): must not read the zeros of 'pad' around activations with a"
            " sign: use its own padding, or put an nn.ReLU before it",
        ),
        (
            lambda m, x: torch.cat([m.a(x), m.b(x)], 2),
            "node 'cat' (torch.cat): must be along the channels, dim 1, not 2",
        ),
        (
            lambda m, x: torch.cat([m.a(x), torch.ones(2, 1, 12, 8)], 1),
            "node 'cat' (torch.cat): must join what depends on the image, not a constant",
        ),
        (
            lambda m, x: torch.cat([x, functional.pad(x, (1, 1))[..., 1:-1]], 1),
            "node 'getitem' (getitem): the hardware has no such operation",
        ),
        (
            lambda m, x: torch.cat([m.relu(m.a(x)), functional.pad(x, (0, 0))[:, :1]], 1),
            "node 'getitem' (getitem): the hardware has no such operation",
        ),
        (
            lambda m, x: functional.interpolate(m.a(x), scale_factor=2, mode="bilinear"),
            "node 'interpolate' (torch.nn.functional.interpolate): mode must be 'nearest', not"
            " 'bilinear': the hardware repeats pixels",
        ),
        (
            lambda m, x: functional.interpolate(x, size=(18, 16)),
            "node 'interpolate' (torch.nn.functional.interpolate): must enlarge (12, 8) by"
            " integers, not to (18, 16)",
        ),
        (
            lambda m, x: functional.interpolate(x, scale_factor=17),
            "node 'interpolate' (torch.nn.functional.interpolate): must enlarge at most 16 times,"
            " not 17 times",
        ),
        (
            lambda m, x: functional.interpolate(functional.pad(x, (1, 1)), scale_factor=2),
            "node 'interpolate' (torch.nn.functional.interpolate): must enlarge stored activations,"
            " not what 'pad' makes of the stored activations 'image': enlarge them before that",
        ),
        (
            lambda m, x: x + m.pool(x).mean((2, 3), keepdim=True),
            "node 'add' (add): the stored activations 'mean' must have the shape (3, 12, 8) of the"
            " stored activations 'image', not (3, 1, 1)",
        ),
        (
            lambda m, x: functional.relu(m.a(x)).mean(3).mean(2),
            "node 'mean' (Tensor.mean): must be over height and width, (2, 3), not 3",
        ),
        (
            Model(lambda m, x: m.end(m.end(m.relu(m.a(x)))), end=nn.AdaptiveAvgPool2d(4)),
            "module 'end' (AdaptiveAvgPool2d): must average everywhere or nowhere: use one module"
            " for each place",
        ),
        (
            lambda m, x: m.a(functional.max_pool2d(x, 5, 2, ceil_mode=True)),
            "node 'max_pool2d' (torch.nn.functional.max_pool2d): ceil_mode must change nothing,"
            " not make the output (5, 3) instead of (4, 2): use ceil_mode=False",
        ),
        (
            Model(lambda m, x: m.a(x.sub_(0.5)), a=nn.Conv2d(3, 3, 3)),
            "model Model: forward must not change the image in place: use x = x - ..., not x -="
            " ...",
        ),
        (
            lambda m, x: m.b(functional.softmax(m.a(x), 1)),
            "module 'b' (Conv2d): must not read the result of node 'softmax'"
            " (torch.nn.functional.softmax), which is left to the host",
        ),
        (
            lambda m, x: functional.softmax(m.a(x), 2),
            "node 'softmax' (torch.nn.functional.softmax): must be over the channels, dim 1, and"
            " keep the type, not dim 2",
        ),
        (
            lambda m, x: m.linear(x.permute(0, 2, 3, 1).flatten(1)),
            "node 'permute' (Tensor.permute): the hardware has no such operation",
        ),
        (
            lambda m, x: m.a(x).flatten(2),
            f"node 'flatten' (Tensor.flatten): must leave {SIGNED} 'a', 3 x 12 x 8, or flatten it"
            " for each image, not make shape (2, 3, 96) of it",
        ),
        (
            lambda m, x: (m.a(x), x),
            "output: forward must return one tensor that depends on the image",
        ),
        (
            lambda m, x: {"result": m.a(x)},
            "output: forward must return one tensor that depends on the image",
        ),
        (
            lambda m, x: functional.conv2d(x, m.parameter),
            "node 'conv2d' (torch.nn.functional.conv2d): its weights would have to be stored: use"
            " nn.Conv2d",
        ),
        (
            lambda m, x: functional.conv2d(x, m.a.weight),
            "model Model: forward must call its layers, not use the weight of one, which its hidden"
            " layer has not",
        ),
        (
            lambda m, x: m.wide(x),
            "module 'wide' (Linear): must read one row of features for each image, not a tensor of"
            " shape (2, 3, 12, 8): put nn.Flatten before it, or use an nn.Conv2d with kernel 1",
        ),
        (
            lambda m, x: m.a(functional.dropout(x)),
            "node 'dropout' (torch.nn.functional.dropout): must drop nothing in evaluation mode:"
            " give it training=self.training",
        ),
        (
            Model(lambda m, x: m.a(m.always(x)), always=Always()),
            "module 'always' (Always): must be in evaluation mode when the model is, not stay in"
            " training mode",
        ),
        (
            Model(lambda m, x: m.norm(m.a(x)), norm=Doubled(3)),
            f"module 'norm' (Doubled): {TRACED} symbolically traced variables cannot be used as"
            " inputs to control flow",
        ),
        (
            Model(lambda m, x: m.norm(m.a(x)), norm=nn.BatchNorm2d(3, track_running_stats=False)),
            "module 'norm' (BatchNorm2d): must track running statistics, not normalise by those of"
            " a batch",
        ),
        (
            lambda m, x: m.a(x) if x.sum() > 0 else x,
            f"model Model: {TRACED} symbolically traced variables cannot be used as inputs to"
            " control flow",
        ),
        (
            lambda m, x: m.linear(x.view(len(x), -1)),
            f"model Model: {TRACED} it calls len of a tensor: write x.shape[0]",
        ),
        (
            lambda m, x: m.listed[0](x),
            f"model Model: {TRACED} a Conv2d is called that is no submodule: keep it in an"
            " attribute or an nn.ModuleList, not in a list",
        ),
        (
            lambda m, x: m.a(x) + torch.randn(()),
            f"model Model: {SAME} NUMBER and NUMBER: leave out what is random or counts calls",
        ),
        (
            counted,
            f"model Model: {SAME} NUMBER and NUMBER: leave out what is random or counts calls",
        ),
        (counted_in_a_buffer, "model Model: buffer 'count' must not change in evaluation mode"),
        (
            lambda m, x: m.a(x) + isinstance(x, torch.Tensor),
            f"model Model: {TRACE} NUMBER and NUMBER there: leave out what the trace cannot see,"
            " such as a context or a branch",
        ),
        (
            under_autocast,
            f"model Model: {TRACE} NUMBER and NUMBER there: leave out what the trace cannot see,"
            " such as a context or a branch",
        ),
        (
            summed_under_another_name,
            f"model Model: {TRACE} NUMBER and NUMBER there: leave out what the trace cannot see,"
            " such as a context or a branch",
        ),
        (
            summed_in_a_view,
            "node 'add_' (Tensor.add_): must not change a tensor that is used again: use +",
        ),
        (
            rectified_for_its_effect,
            "module 'in_place' (ReLU): must not change in place what is read again behind it: read"
            " its result",
        ),
        (
            rectified_in_a_view,
            "module 'in_place' (ReLU): must not change in place what is read again behind it: read"
            " its result",
        ),
    ],
)
def test_refuses_what_the_export_would(model, message):
    model = model if isinstance(model, nn.Module) else Model(model)
    pattern = re.escape(message).replace("NUMBER", r"-?\d\S*")
    with pytest.raises(InputError, match=f"^{pattern}$"):
        hide(model, EXAMPLE + 1 / 3)
