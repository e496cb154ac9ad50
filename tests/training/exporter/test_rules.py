import math
import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from traced_models import Calls, calls, conv, layers

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import CodedConv2d, HiddenLinear
from hiddenite.training.layers.weights import DenseWeights

torch.set_num_threads(1)


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


def infinite():
    norm = nn.BatchNorm2d(2)
    norm.running_mean[1] = torch.inf
    return norm


def diverged(number):
    first = conv()
    first.weights.scores.data[1, 0, 0, 0] = number
    return first


def dense():
    weights = DenseWeights((2, 1, 1, 2))
    weights.latent.data[0] = torch.nan
    return CodedConv2d(weights)


def with_step(step):
    relu = QuantizedReLU()
    relu.step = step
    return relu


def unlimited():
    norm = nn.BatchNorm2d(2)
    norm.running_var[1] = torch.inf
    return norm


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            nn.Sequential(conv(), nn.ReLU()),
            "module '1' (ReLU): has no 8-bit output: use QuantizedReLU",
        ),
        (
            calls(lambda m, x: functional.relu(m.conv(x))),
            "node 'relu' (torch.nn.functional.relu): has no 8-bit output: use QuantizedReLU",
        ),
        (
            calls(lambda m, x: m.inner(m.conv(x)), inner=Calls(lambda m, x: x.relu())),
            "node 'relu' in 'inner' (Tensor.relu): has no 8-bit output: use QuantizedReLU",
        ),
        (
            nn.Sequential(nn.Conv2d(2, 2, 1)),
            "module '0' (Conv2d): its weights would have to be stored: use HiddenConv2d",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(32, 2)),
            "module '1' (Linear): its weights would have to be stored: use HiddenLinear",
        ),
        (
            nn.Sequential(conv(), nn.Softmin(1)),
            "module '1' (Softmin): the hardware has no such operation",
        ),
        (
            nn.Sequential(conv(), nn.Softmax(1), conv()),
            "module '2' (HiddenConv2d): must not read the result of module '1' (Softmax), which is"
            " left to the host",
        ),
        (
            calls(lambda m, x: torch.cat([x, m.relu(m.conv(x))], 1)),
            "node 'cat' (torch.cat): must join activations of one unit and type, not 0 to 255 times"
            " 0.00392157 as of the stored activations 'image' and 0 to 255 times 0.015625 as of the"
            " stored activations 'conv': put a quantiser of one step and kind behind each",
        ),
        (
            calls(lambda m, x: m.relu(m.conv(x)).chunk(2, 1)[0]),
            "node 'chunk' (Tensor.chunk): the hardware has no such operation",
        ),
        (
            nn.Sequential(conv(), conv()),
            "module '1' (HiddenConv2d): must read 8-bit activations, not the signed result of '0':"
            " put a QuantizedReLU before it",
        ),
        (
            nn.Sequential(HiddenLinear(32, 4, index=0)),
            "module '0' (HiddenLinear): map_size must be (4, 4) for the 2 channels of the stored"
            " activations 'image', not (1, 1) for 32",
        ),
        (
            conv(padding=3),
            "module '0' (HiddenConv2d): padding must be less than the kernel's 3, not 3",
        ),
        (
            conv(in_channels=3),
            "module '0' (HiddenConv2d): cannot be run on the example: Given groups=1, weight of"
            " size [2, 3, 3, 3], expected input[2, 2, 4, 4] to have 3 channels, but got 2 channels"
            " instead",
        ),
        (
            calls(lambda m, x: m.norm(m.conv(x) + x), norm=nn.BatchNorm2d(2)),
            "module 'norm' (BatchNorm2d): must be before the residual 'image' is added, not behind"
            " it: put a QuantizedIdentity behind it",
        ),
        (
            nn.Sequential(conv(), nn.BatchNorm2d(2, track_running_stats=False)),
            "module '1' (BatchNorm2d): must track running statistics, not normalise by those of a"
            " batch",
        ),
        (
            nn.Sequential(conv(), nn.Flatten(), nn.BatchNorm1d(32)),
            "module '2' (BatchNorm1d): must have the 2 channels of the signed result of '0',"
            " not 32",
        ),
        (
            nn.Sequential(conv(), infinite()),
            "module '1' (BatchNorm2d): its numbers must be finite, which those of channel 1 are"
            " not",
        ),
        (
            nn.Sequential(conv(), unlimited()),
            "module '1' (BatchNorm2d): its numbers must be finite, which those of channel 1 are"
            " not",
        ),
        *(
            (
                nn.Sequential(diverged(number)),
                "module '0' (HiddenConv2d): its scores must be finite, which those of channel 1 are"
                " not: the training has diverged",
            )
            for number in (torch.nan, torch.inf, -torch.inf)
        ),
        (
            nn.Sequential(dense()),
            "module '0' (CodedConv2d): its latent must be finite, which those of channel 0 are not:"
            " the training has diverged",
        ),
        *(
            (
                nn.Sequential(conv(), with_step(step)),
                f"module '1' (QuantizedReLU): its step must be a finite number above 0, not {step}",
            )
            for step in (math.nan, math.inf, 0, -1.0)
        ),
        *(
            (
                calls(lambda m, x, dropout=dropout: m.conv(dropout(x))),
                f"node '{name}' (torch.nn.functional.{name}): must drop nothing in evaluation mode:"
                " give it training=self.training",
            )
            for name, dropout in (
                ("dropout", functional.dropout),
                ("dropout2d", lambda x: functional.dropout2d(x, 0.1, True)),
            )
        ),
        (
            calls(lambda m, x: m.conv(functional.alpha_dropout(x, training=False))),
            "node 'alpha_dropout' (torch.nn.functional.alpha_dropout): the hardware has no such"
            " operation",
        ),
        (
            nn.Sequential(conv(), nn.Flatten(2)),
            "module '1' (Flatten): must leave the signed result of '0', 2 x 4 x 4, or flatten it"
            " for each image, not make shape (2, 2, 16) of it",
        ),
        (
            calls(lambda m, x: (m.conv(x), x)),
            "output: forward must return one tensor that depends on the image",
        ),
        (
            calls(lambda m, x: m.conv(m.b), b=nn.Parameter(torch.zeros(1, 2, 4, 4))),
            "module 'conv' (HiddenConv2d): must read what comes from the image, not a constant",
        ),
        (
            calls(lambda m, x: m.conv.forward(x)),
            "module 'conv.weights' (HiddenWeights): must be called by its layer: call the layer"
            " itself, not its forward",
        ),
        (nn.Identity(), "model Identity: must have a layer, not only return its input"),
        (TwoInputs(), "model TwoInputs: forward must have one input, not x, y"),
        (
            nn.Sequential(conv(), nn.Softmax(2)),
            "module '1' (Softmax): must be over the channels, dim 1, and keep the type, not dim 2",
        ),
        (
            calls(lambda m, x: functional.log_softmax(m.conv(x), 1, dtype=torch.float64)),
            "node 'log_softmax' (torch.nn.functional.log_softmax): must be over the channels, dim"
            " 1, and keep the type, not of type torch.float64",
        ),
        (
            calls(lambda m, x: m.conv(x).argmax()),
            "node 'argmax' (Tensor.argmax): must be over the channels, dim 1, and keep the type,"
            " not dim None",
        ),
        (
            calls(lambda m, x: m.conv(x).argmax(1, keepdim=True)),
            "node 'argmax' (Tensor.argmax): keepdim must be False, not True",
        ),
        (
            nn.Sequential(nn.AvgPool2d(2), nn.Softmax(1)),
            "module '1' (Softmax): must be applied to the result of a layer, not to the average"
            " '0'",
        ),
        (
            calls(lambda m, x: m.conv(m.norm(x)), norm=nn.BatchNorm2d(2)),
            "module 'conv' (HiddenConv2d): must read 8-bit activations, not what 'norm' makes of"
            " each channel of the stored activations 'image': put a QuantizedIdentity before it",
        ),
        (
            calls(lambda m, x: m.norm(functional.pad(x, (1, 1))), norm=nn.BatchNorm2d(2)),
            "module 'norm' (BatchNorm2d): must not change what 'pad' makes of the stored"
            " activations 'image' for each channel: pad behind that",
        ),
        (
            nn.Sequential(nn.ReflectionPad2d(1)),
            "module '0' (ReflectionPad2d): only zeros can be put around activations: use"
            " nn.ZeroPad2d",
        ),
        (
            nn.Sequential(nn.ZeroPad2d((2, 0, 0, 0)), conv()),
            "module '1' (HiddenConv2d): padding must be less than the kernel's 3, not 3",
        ),
        (
            nn.Sequential(conv(padding=5, dilation=2)),
            "module '0' (HiddenConv2d): padding must be less than the dilated kernel's 5, not 5",
        ),
        (
            nn.Sequential(nn.ZeroPad2d(1), nn.Flatten(), HiddenLinear(72, 2, index=0)),
            "module '2' (HiddenLinear): must not read what '0' makes of the stored activations"
            " 'image': only a convolution or a pooling reads padding",
        ),
        (
            nn.Sequential(nn.ZeroPad2d(2), conv()),
            "module '1' (HiddenConv2d): padding must be less than the kernel's 3, not 3",
        ),
        (
            calls(lambda m, x: m.conv(x - 0.5)),
            "module 'conv' (HiddenConv2d): padding must be 0, not (1, 1), as it pads with zeros"
            " what 'sub' has shifted: put a QuantizedIdentity behind that, pad with nn.ZeroPad2d"
            " before that, or shift nothing",
        ),
    ],
)
def test_what_the_hardware_cannot_do(model, message):
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        layers(model)
