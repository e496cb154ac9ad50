"""Trains hidden networks with PyTorch and writes network files; needs ``hiddenite[train]``."""

from hiddenite.training.activation import QuantizedReLU
from hiddenite.training.convert import hide
from hiddenite.training.density import DensitySchedule
from hiddenite.training.exporter import Report, export
from hiddenite.training.fold import fold
from hiddenite.training.layers import HiddenConv2d, HiddenLinear

__all__ = [
    "DensitySchedule",
    "HiddenConv2d",
    "HiddenLinear",
    "QuantizedReLU",
    "Report",
    "export",
    "fold",
    "hide",
]
