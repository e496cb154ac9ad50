"""Trains hidden networks with PyTorch and writes network files; needs ``hiddenite[train]``."""

from hiddenite.training.density import DensitySchedule
from hiddenite.training.exporter.export import Report, export
from hiddenite.training.exporter.fold import fold
from hiddenite.training.layers.activation import QuantizedIdentity, QuantizedReLU
from hiddenite.training.layers.coded import HiddenConv1d, HiddenConv2d, HiddenLinear
from hiddenite.training.layers.convert import hide

__all__ = [
    "DensitySchedule",
    "HiddenConv1d",
    "HiddenConv2d",
    "HiddenLinear",
    "QuantizedIdentity",
    "QuantizedReLU",
    "Report",
    "export",
    "fold",
    "hide",
]
