"""Pools: what is computed of each channel of a window by itself."""

from dataclasses import dataclass
from typing import ClassVar

from hiddenite.golden.checks import check_integer

from .base import set_fields
from .conv import MAX_SHIFT
from .window import Window

MAX_POOL_SCALE = 32_767
"""The largest factor of an average pool's sum; the smallest is 1."""


@dataclass(frozen=True, kw_only=True)
class MaxPool(Window):
    """The largest activation of each window; padding never is. The type is the input's.

    Parameters
    ----------
    name, input : str
        Names of the layer, which is also its output's, and of the tensor that it reads.
    kernel, stride, padding
        As in `Window`.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    op: ClassVar[str] = "max_pool"


@dataclass(frozen=True, kw_only=True)
class AvgPool(Window):
    """The sum of each window times `scale`, shifted right by `shift`; padding counts as 0.

    It is clipped to the type, which is the input's.

    Parameters
    ----------
    name, input : str
        Names of the layer, which is also its output's, and of the tensor that it reads.
    kernel, stride, padding
        As in `Window`.
    scale : int
        1 to 32,767; about 2**shift over the kernel's area.
    shift : int
        Right shift that rounds half up, 1 to 24.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    op: ClassVar[str] = "avg_pool"

    scale: int
    shift: int

    def __post_init__(self):
        super().__post_init__()
        set_fields(
            self,
            scale=check_integer(self.where, "scale", self.scale, 1, MAX_POOL_SCALE),
            shift=check_integer(self.where, "shift", self.shift, 1, MAX_SHIFT),
        )
