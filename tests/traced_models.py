"""Small models, and the layers that they are traced to."""

import torch
from torch import nn

from hiddenite.training.exporter.graph import trace
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import HiddenConv2d

EXAMPLE = torch.arange(2 * 2 * 4 * 4).reshape(2, 2, 4, 4) / 255


class Calls(nn.Module):
    """A model whose forward is a function of itself and the image."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def conv(in_channels=2, out_channels=2, kernel=3, padding=1, **options):
    return HiddenConv2d(in_channels, out_channels, kernel, padding=padding, index=0, **options)


def calls(function, **modules):
    modules = {"conv": conv(), "second": conv(), "relu": QuantizedReLU()} | modules
    return Calls(function, **modules)


def layers(model):
    return trace(model.eval(), EXAMPLE).layers
