"""Labelled images for training and testing, as uint8 arrays; NumPy alone, no PyTorch."""

from hiddenite.training.datasets.dataset import ArraySplit, Dataset, Split
from hiddenite.training.datasets.loading import NAMES, load

__all__ = ["NAMES", "ArraySplit", "Dataset", "Split", "load"]
