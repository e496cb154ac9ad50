import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from traced_models import calls, conv, layers

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.activation import QuantizedIdentity, QuantizedReLU

torch.set_num_threads(1)


def plan(*modules):
    """Return the last layer that modules are traced to."""
    return layers(nn.Sequential(*modules))[-1]


@pytest.mark.parametrize(
    ("pool", "kernel"),
    [
        (nn.AdaptiveMaxPool2d(1), (4, 4)),
        (nn.AdaptiveMaxPool2d((2, None)), (2, 1)),
        (calls(lambda m, x: functional.adaptive_max_pool2d(x, 2)), (2, 2)),
        (calls(lambda m, x: torch.max_pool2d(x, 2)), (2, 2)),
        (calls(lambda m, x: x.amax((2, 3))), (4, 4)),
        (calls(lambda m, x: torch.amax(x, dim=[-1, -2], keepdim=True)), (4, 4)),
        (nn.MaxPool2d(2, ceil_mode=True), (2, 2)),
    ],
)
def test_maxima(pool, kernel):
    layer = plan(pool)
    assert layer.kernel == layer.stride == kernel
    assert layer.shape == (2, 4 // kernel[0], 4 // kernel[1])


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(1),
        nn.AvgPool2d((1, 1)),
        nn.AdaptiveAvgPool2d(4),
        nn.AdaptiveMaxPool2d((None, 4)),
        calls(lambda m, x: functional.avg_pool2d(x, 1, ceil_mode=True)),
    ],
)
def test_windows_of_one_pixel(pool):
    (layer,) = layers(nn.Sequential(conv(), pool, QuantizedReLU()))
    assert layer.name == "0"


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1)])
def test_zeros_around_a_map_are_padding(pool):
    layer = plan(nn.ZeroPad2d(1), pool, QuantizedReLU(1 / 255))
    assert getattr(layer, "value", layer).padding == (2, 2)


def test_rectifier_of_a_padded_map():
    model = nn.Sequential(nn.ZeroPad2d(1), QuantizedReLU(1 / 255), conv(padding=0))
    (layer,) = layers(model)
    assert layer.value.padding == (1, 1)


def test_zeros_of_one_side():
    layer = plan(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(3, 2))
    assert (layer.padding, layer.shape) == ((0, 0, 1, 1), (2, 2, 2))


def test_zeros_that_no_window_reads():
    layer = plan(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2))
    assert (layer.padding, layer.shape) == ((0, 0), (2, 2, 2))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            nn.MaxPool2d(2, dilation=2),
            "module '0' (MaxPool2d): dilation must be 1, not 2",
        ),
        (
            nn.MaxPool2d(3, ceil_mode=True),
            "module '0' (MaxPool2d): ceil_mode must change nothing, not make the output (2, 2)"
            " instead of (1, 1): use ceil_mode=False",
        ),
        (
            nn.MaxPool2d(2, return_indices=True),
            "module '0' (MaxPool2d): return_indices must be False, not True",
        ),
        (
            nn.Sequential(conv(), nn.MaxPool2d(2)),
            "module '1' (MaxPool2d): must pool 8-bit activations, not the signed result of '0': put"
            " the QuantizedReLU before it",
        ),
        (
            nn.AvgPool2d(3, padding=1, count_include_pad=False),
            "module '0' (AvgPool2d): count_include_pad must be True, not False",
        ),
        (
            nn.AvgPool2d(3, divisor_override=4),
            "module '0' (AvgPool2d): divisor_override must be None, not 4",
        ),
        (
            nn.AdaptiveAvgPool2d(3),
            "module '0' (AdaptiveAvgPool2d): output size must divide the map's (4, 4),"
            " not be (3, 3)",
        ),
        (
            calls(lambda m, x: x.mean(1)),
            "node 'mean' (Tensor.mean): must be over height and width, (2, 3), not 1",
        ),
        (
            calls(lambda m, x: torch.mean(x, axis=(2, 3))),
            "node 'mean' (torch.mean): has arguments that the export does not know: got an"
            " unexpected keyword argument 'axis'",
        ),
        (
            nn.AvgPool2d(2),
            "output: must be rounded to 8 bits, not the average '0': put a QuantizedReLU behind it",
        ),
        (
            nn.AdaptiveMaxPool2d(2, return_indices=True),
            "module '0' (AdaptiveMaxPool2d): return_indices must be False, not True",
        ),
        (
            nn.AdaptiveMaxPool2d((4, 3)),
            "module '0' (AdaptiveMaxPool2d): output size must divide the map's (4, 4), not be"
            " (4, 3)",
        ),
        (
            calls(lambda m, x: torch.amax(x, (1, 2))),
            "node 'amax' (torch.amax): must be over height and width, (2, 3), not (1, 2)",
        ),
        (
            calls(lambda m, x: functional.max_pool2d(x * 2, 2)),
            "node 'max_pool2d' (torch.nn.functional.max_pool2d): must pool 8-bit activations, not"
            " what 'mul' makes of the stored activations 'image': pool them before that",
        ),
        (
            nn.Sequential(conv(), QuantizedIdentity(), nn.ZeroPad2d(1), nn.MaxPool2d(2)),
            "module '3' (MaxPool2d): must not read the zeros of '2' around activations with a sign:"
            " use its own padding, or put a QuantizedReLU before it",
        ),
        (
            nn.Sequential(conv(), QuantizedIdentity(), nn.AvgPool2d(2), QuantizedReLU()),
            "module '3' (QuantizedReLU): the average '2' has the type of the stored activations"
            " '0': put a QuantizedIdentity behind it",
        ),
        (
            nn.Sequential(nn.ZeroPad2d(2), nn.AvgPool2d(2)),
            "module '1' (AvgPool2d): padding must be less than the kernel's 2, not 2",
        ),
    ],
)
def test_what_the_hardware_cannot_do(model, message):
    if type(model).__module__.startswith("torch.nn.modules.pooling"):
        model = nn.Sequential(model)
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        layers(model)
