"""What a random network may use."""

from enum import Enum

__all__ = ["HARDWARE", "VERSION_1", "VERSION_2", "Feature"]


class Feature(Enum):
    """Something of version 2 of the network file."""

    DILATION = "dilated convs"
    GROUPS = "convs with groups, depthwise ones among them"
    PADDING = "padding that differs from side to side"
    SIGN = "learned signs"
    INT8 = "int8 activations: the image, the output of convs and adds, and what follows from them"
    ADD = "adds"
    CONCAT = "concats"
    UPSAMPLE = "upsamples"


VERSION_1: frozenset[Feature] = frozenset()
VERSION_2 = frozenset(Feature)
HARDWARE = frozenset({Feature.DILATION, Feature.GROUPS, Feature.SIGN, Feature.INT8})
"""What a network may use on every engine, joins and what comes with them aside."""
