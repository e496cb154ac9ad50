"""The parts of a network: its image, its layers, and the tensors between them.

Every object checks itself when it is made. Tensors are height x width x channels; kernel, stride,
dilation and factor are (height, width), padding is (top, left, bottom, right).

::

    NamedLayer ─┬─► Window ─┬─► Conv          convs and pools: a window moves over one tensor
                │           ├─► MaxPool
                │           └─► AvgPool
                └─► Add, Concat, Upsample     no window: tensors are joined or repeated
"""

from .base import NamedLayer, set_fields
from .conv import MAX_SHIFT, Conv, check_groups, group_channels
from .image import ACTIVATION_TYPES, MAX_SIZE, Input
from .joins import MAX_ADD_SCALE, MAX_CONCAT, MAX_FACTOR, Add, Concat, Upsample
from .pools import MAX_POOL_SCALE, AvgPool, MaxPool
from .residual import MAX_RESIDUAL_SCALE
from .tensors import Tensors
from .window import Window

__all__ = [
    "ACTIVATION_TYPES",
    "LAYER_CLASSES",
    "MAX_ADD_SCALE",
    "MAX_CONCAT",
    "MAX_FACTOR",
    "MAX_POOL_SCALE",
    "MAX_RESIDUAL_SCALE",
    "MAX_SHIFT",
    "MAX_SIZE",
    "Add",
    "AvgPool",
    "Concat",
    "Conv",
    "Input",
    "Layer",
    "MaxPool",
    "NamedLayer",
    "Tensors",
    "Upsample",
    "Window",
    "check_groups",
    "group_channels",
    "set_fields",
]

Layer = Conv | MaxPool | AvgPool | Add | Concat | Upsample

LAYER_CLASSES = {cls.op: cls for cls in (Conv, MaxPool, AvgPool, Add, Concat, Upsample)}
