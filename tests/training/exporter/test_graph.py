import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from traced_models import EXAMPLE, Calls, calls, conv, layers

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.graph import prepared, trace
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import HiddenLinear

torch.set_num_threads(1)


def names(model):
    return [(layer.name, layer.inputs) for layer in layers(model)]


def test_sequential_model():
    model = nn.Sequential(
        conv(), nn.BatchNorm2d(2), QuantizedReLU(), nn.Dropout(), nn.MaxPool2d(2), nn.Flatten()
    )
    model.append(HiddenLinear(8, 3, map_size=2, index=1)).append(nn.BatchNorm1d(3))
    assert names(model) == [("0", ("image",)), ("4", ("0",)), ("6", ("4",))]
    graph = trace(model.eval(), EXAMPLE)
    assert graph.flat
    assert graph.layers[-1].step is None
    assert graph.layers[-1].value.shape == (3, 1, 1)


def test_model_that_is_a_layer():
    assert names(conv()) == [("0", ("image",))]


@pytest.mark.parametrize(
    "add",
    [
        lambda a, b: a + b,
        lambda a, b: b + a,
        torch.add,
        lambda a, b: torch.add(other=b, input=a),
        lambda a, b: a.add(b),
        lambda a, b: a.add_(b),
    ],
)
def test_residual(add):
    model = calls(lambda m, x: m.relu(add(m.second(m.relu(m.conv(x))), x)))
    assert names(model) == [("conv", ("image",)), ("second", ("conv", "image"))]


def test_residual_with_in_place_sum():
    def forward(m, x):
        y = m.conv(x)
        y += x
        return m.relu(y)

    assert names(calls(forward)) == [("conv", ("image", "image"))]


def test_second_use_of_a_layer_gets_another_name():
    model = calls(lambda m, x: m.relu(m.conv(m.relu(m.conv(x)))), image=conv())
    assert names(model) == [("conv", ("image",)), ("conv_2", ("conv",))]
    model = calls(lambda m, x: m.relu(m.image(x)), image=conv())
    assert names(model) == [("image_2", ("image",))]


def test_accumulator_with_two_readers_becomes_two_layers_or_one():
    def forward(m, x):
        y = m.conv(x)
        return m.relu(m.second(m.relu(y)) + m.other(y))

    model = calls(forward, other=QuantizedReLU(1 / 16))
    assert names(model)[:2] == [("conv", ("image",)), ("conv_2", ("image",))]
    model = calls(forward, other=QuantizedReLU())
    assert names(model) == [("conv", ("image",)), ("second", ("conv", "conv"))]


def test_what_the_result_does_not_need_is_left_out():
    def forward(m, x):
        y = m.relu(m.conv(x))
        m.relu(m.second(y))
        return y

    assert names(calls(forward)) == [("conv", ("image",))]


def test_functional_pools_and_sizes():
    def forward(m, x):
        x = functional.max_pool2d(m.relu(m.conv(x)), 2, stride=2)
        x = m.relu(functional.avg_pool2d(x, (2, 1)))
        return x.view(x.size(0), -1).flatten(1)

    first, maximum, average = layers(calls(forward))
    assert (maximum.name, maximum.kernel, maximum.stride) == ("max_pool2d", (2, 2), (2, 2))
    assert (average.name, average.value.kernel) == ("avg_pool2d", (2, 1))
    assert average.value.padding == (0, 0)
    assert average.inputs == (maximum.name,) and maximum.inputs == (first.name,)


@pytest.mark.parametrize(
    ("pool", "kernel"),
    [
        (nn.AdaptiveAvgPool2d(1), (4, 4)),
        (nn.AdaptiveAvgPool2d((2, None)), (2, 1)),
        (Calls(lambda m, x: functional.adaptive_avg_pool2d(x, 2)), (2, 2)),
        (Calls(lambda m, x: x.mean((2, 3))), (4, 4)),
        (Calls(lambda m, x: torch.mean(x, dim=[-1, -2], keepdim=True)), (4, 4)),
    ],
)
def test_averages(pool, kernel):
    (layer,) = layers(nn.Sequential(pool, QuantizedReLU(1 / 100)))
    assert layer.value.kernel == layer.value.stride == kernel
    assert layer.value.input.step == 1 / 255
    assert layer.step == 1 / 100


def test_affine_of_biases_and_batch_normalisation():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(2)
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean):
        tensor.uniform_(-2, 2)
    norm.running_var.uniform_(0.5, 2)
    first = conv(bias=True)
    first.bias.data.uniform_(-2, 2)
    extra = nn.Parameter(torch.tensor([0.5, -0.25]))
    model = calls(
        lambda m, x: m.norm(m.first(x) + m.extra.view(1, -1, 1, 1)) - 0.5 + 2,
        first=first,
        norm=norm,
        extra=extra,
    ).eval()
    (layer,) = layers(model)
    affine = layer.value.affine
    y = functional.conv2d(
        EXAMPLE, first.weights().permute(0, 3, 1, 2) * first.weights.gain, padding=1
    )
    shape = (-1, 1, 1)
    result = affine.slope.view(shape) * (y - affine.centre.view(shape)) + affine.level.view(shape)
    assert torch.allclose(result.float(), model(EXAMPLE), atol=1e-5)


def test_norm_behind_norm_with_zero_scale():
    model = nn.Sequential(conv(), nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    nn.init.zeros_(model[1].weight)
    nn.init.constant_(model[1].bias, 3.0)
    model.eval()
    affine = layers(model)[0].value.affine
    assert (affine.slope == 0).all()
    assert torch.allclose(affine.level.float(), model(EXAMPLE)[0, :, 0, 0])


def test_dropout_that_drops_nothing():
    def forward(m, x):
        x = functional.dropout(x, 0.5, m.training)
        return m.conv(functional.dropout2d(functional.dropout(x, 0), training=False))

    assert names(calls(forward)) == [("conv", ("image",))]


class Options(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv()

    def forward(self, x, bias=None, *, twice=False, shift=0.5):
        y = self.conv(x) + shift
        if bias is not None or twice:
            return y + bias
        return y


def test_arguments_that_the_user_need_not_give():
    assert names(Options()) == [("conv", ("image",))]


class Doubled(nn.MaxPool2d):
    def forward(self, x):
        return functional.max_pool2d(functional.max_pool2d(x, 2), 2)


class Chosen(nn.MaxPool2d):
    def __init__(self):
        super().__init__(2)


def test_classes_that_are_derived_from_layers():
    assert names(nn.Sequential(Chosen())) == [("0", ("image",))]
    assert names(nn.Sequential(Doubled(2))) == [
        ("max_pool2d", ("image",)),
        ("max_pool2d_1", ("max_pool2d",)),
    ]


def test_a_copy_is_in_evaluation_mode_and_on_the_cpu():
    model = nn.Sequential(conv(), nn.Dropout()).train()
    copy = prepared(model)
    assert model.training and model[1].training
    assert not copy.training and not copy[1].training
    assert copy[0].weights.scores is not model[0].weights.scores


def test_a_copy_of_what_forward_has_kept():
    def forward(m, x):
        m.last = m.conv(x)
        return m.last

    model = calls(forward)
    model(EXAMPLE)
    assert model.last.grad_fn is not None
    assert torch.equal(prepared(model).last, model.last)


class Uncopied(nn.Sequential):
    def __deepcopy__(self, memo):
        raise TypeError("holds a file")


class Always(nn.Dropout):
    def train(self, mode=True):
        return super().train(True)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Uncopied(conv()),
            "model Uncopied: must be one that copy.deepcopy copies, not stop it with: holds a file",
        ),
        (
            nn.Sequential(conv(), Always()),
            "module '1' (Always): must be in evaluation mode when the model is, not stay in"
            " training mode",
        ),
    ],
)
def test_models_that_cannot_be_prepared(model, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        prepared(model)


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_what_forward_keeps_from_its_first_call():
    def forward(m, x):
        if m.offset is None:
            m.offset = 0 * m.conv(x).shape[1] + torch.arange(2.0).view(2, 1, 1)
        return m.conv(x) + m.offset

    model = calls(forward, offset=None)
    assert names(model) == [("conv", ("image",))]
    assert torch.is_tensor(model.offset)


def counted(m, x):
    m.calls = getattr(m, "calls", 0) + 1
    return m.conv(x) + m.calls % 2


def changed(m, x):
    m.second.weights.sign.neg_()
    return m.conv(x)


def mixed(m, x):
    with torch.autocast("cpu", torch.bfloat16):
        return m.conv(x)


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = [conv()]

    def forward(self, x):
        return self.convs[0](x)


TRACED = "forward must do the same for every image, so that torch.fx can trace it, not stop with:"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            calls(counted),
            "model Calls: forward must give the same result each time in evaluation mode, not"
            " NUMBER and NUMBER: leave out what is random or counts calls",
        ),
        (
            calls(lambda m, x: m.conv(x) + torch.rand(())),
            "model Calls: forward must give the same result each time in evaluation mode, not"
            " NUMBER and NUMBER: leave out what is random or counts calls",
        ),
        (
            calls(lambda m, x: m.conv(x) + x.shape[0]),
            "model Calls: forward must give an image the same result whatever other images there"
            " are, and so not use their number but for the shape",
        ),
        (
            calls(changed),
            "model Calls: buffer 'second.weights.sign' must not change in evaluation mode",
        ),
        (
            calls(lambda m, x: m.conv(x) + isinstance(x, torch.Tensor)),
            "model Calls: forward must do what torch.fx traced, not give NUMBER and NUMBER there:"
            " leave out what the trace cannot see, such as a context or a branch",
        ),
        (
            calls(mixed),
            "model Calls: forward must do what torch.fx traced, not give NUMBER and NUMBER there:"
            " leave out what the trace cannot see, such as a context or a branch",
        ),
        (
            calls(lambda m, x: m.conv(x) if not isinstance(x, torch.Tensor) else [m.conv(x)]),
            "model Calls: forward must return what torch.fx traced: one tensor",
        ),
        (
            calls(lambda m, x: m.conv(x.float() if not isinstance(x, torch.Tensor) else x.no())),
            "model Calls: cannot be run on the example: 'Tensor' object has no attribute 'no'",
        ),
        (
            Listed(),
            f"model Listed: {TRACED} a HiddenConv2d is called that is no submodule: keep it in an"
            " attribute or an nn.ModuleList, not in a list",
        ),
        (
            calls(lambda m, x: x.view(len(x), -1)),
            f"model Calls: {TRACED} it calls len of a tensor: write x.shape[0]",
        ),
        (
            calls(lambda m, x: m.inner(x), inner=Branches()),
            f"module 'inner' (Branches): {TRACED} symbolically traced variables cannot be used as"
            " inputs to control flow",
        ),
    ],
)
def test_models_that_are_not_what_is_traced(model, message):
    pattern = re.escape(message).replace("NUMBER", r"-?\d\S*")
    with pytest.raises(InputError, match=f"^{pattern}$"):
        layers(model)


def test_inference_mode():
    with torch.inference_mode():
        assert names(prepared(calls(lambda m, x: m.conv(x)))) == [("conv", ("image",))]


def test_control_flow_that_depends_on_the_image():
    message = (
        "^model Branches: forward must do the same for every image, so that torch.fx can trace it,"
        " not stop with: .*control flow$"
    )
    with pytest.raises(InputError, match=message):
        layers(Branches())


@pytest.mark.parametrize(
    ("example", "step", "message"),
    [
        (EXAMPLE, 0, "input_step must be above 0, not 0"),
        ([1], 1.0, "example must be a float tensor (N, C, H, W), not [1]"),
        (
            EXAMPLE[0, 0, 0],
            1 / 255,
            "example must be a float tensor (N, C, H, W), (N, C, L) or (N, C), not torch.float32 of"
            " shape (4,)",
        ),
        (
            EXAMPLE.byte(),
            1 / 255,
            "example must be a float tensor (N, C, H, W), (N, C, L) or (N, C), not torch.uint8 of"
            " shape (2, 2, 4, 4)",
        ),
        (
            EXAMPLE - 0.5,
            1 / 255,
            "example must be bytes, 0 to 255, times the input step 0.00392157, not -0.5",
        ),
        (
            EXAMPLE * 300,
            1.0,
            "example must be bytes, 0 to 255, times the input step 1, not 1.17647",
        ),
    ],
)
def test_example_that_is_not_made_of_bytes(example, step, message):
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        trace(conv(), example, step)
