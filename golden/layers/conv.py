"""Convs: the layers that have weights."""

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from hiddenite.golden.checks import (
    check_array,
    check_choice,
    check_integer,
    check_pair,
    one_line,
)
from hiddenite.golden.errors import InputError

from .base import set_fields
from .image import ACTIVATION_TYPES, MAX_SIZE
from .residual import check_residual, check_residual_shape
from .window import Window

MAX_SHIFT = 24
"""The largest right shift of a conv, an average pool or an add; the smallest is 1."""


def check_groups(where, groups, out_channels):
    """Return the number of groups, which must divide that of the output channels."""
    groups = check_integer(where, "groups", groups, 1, MAX_SIZE)
    if out_channels % groups:
        raise InputError(
            f"{where}: groups must divide out_channels {out_channels}, not be {groups}"
        )
    return groups


def group_channels(where, groups, input_name, channels):
    """Return the channels of each group of an input, which `groups` must divide."""
    if channels % groups:
        raise InputError(
            f"{where}: groups must divide the {channels} channels of input {one_line(input_name)},"
            f" not be {groups}"
        )
    return channels // groups


def check_sign(where, mask, sign):
    """Raise `InputError` if a weight has a sign and is not kept."""
    beside = sign & ~mask
    if beside.any():
        channel, y, x, c = (int(i) for i in np.unravel_index(beside.argmax(), beside.shape))
        raise InputError(
            f"{where}: sign must be 0 where the mask is 0, not 1 as in output channel {channel} at"
            f" y {y}, x {x}, input channel {c} of its group"
        )


@dataclass(frozen=True, kw_only=True)
class Conv(Window):
    """A convolution with masked +1/-1 weights, then bias, scale, residual, shift and clip.

    A fully connected layer is a conv whose kernel covers its whole input.

    Parameters
    ----------
    name : str
        Name of the layer and of its output.
    input : str
        Name of the tensor that it reads.
    index : int
        Weight-set index, 0 to 65,535; layers with the same index and mask have the same weights.
    out_channels : int
        O, 1 to 65,535.
    kernel : int or (int, int)
        (KH, KW), each at least 1; one number stands for two equal ones, here and below.
    stride : int or (int, int)
        Each at least 1; the default is 1.
    padding : int, (int, int) or (int, int, int, int)
        Zero activations, 0 to (kernel - 1) * dilation on each side: (top, left, bottom, right), or
        (y, x) for both sides alike; the default is 0. Stored as four numbers.
    dilation : int or (int, int)
        Step from one tap of the kernel to the next, each at least 1; the default is 1.
    groups : int
        Divides the input's channels and O; output channel o sees the input channels of group
        o // (O / groups).
    mask : bool array, (O, KH, KW, I)
        True where a weight is kept; I is the input's channels over `groups`. A copy is stored,
        read-only, as for the other arrays.
    sign : bool array, (O, KH, KW, I), optional
        True where a weight is -1, in place of the generated signs. False where the mask is, as the
        network checks.
    scale : int16 array, (O,)
        May be negative or 0.
    bias : int32 array, (O,)
        Added to the accumulator, before the scale.
    shift : int
        Right shift that rounds half up, 1 to 24.
    residual : str, optional
        Name of a tensor of the output's shape that is added after the scale.
    residual_scale : int, optional
        Its factor, 0 to 2**24 - 1; given exactly when `residual` is.
    output : {"uint8", "int8", "int32"}
        Type of the output; "int32" tensors cannot be read by a layer.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    op: ClassVar[str] = "conv"

    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    index: int
    out_channels: int
    mask: np.ndarray
    sign: np.ndarray | None = None
    scale: np.ndarray
    bias: np.ndarray
    shift: int
    residual: str | None = None
    residual_scale: int | None = None
    output: str = "uint8"

    def __post_init__(self):
        # The padding that there can be depends on it.
        set_fields(self, dilation=check_pair(self.where, "dilation", self.dilation, 1))
        super().__post_init__()
        where = self.where
        out_channels = check_integer(where, "out_channels", self.out_channels, 1, MAX_SIZE)
        mask_shape = (out_channels, *self.kernel, None)
        set_fields(
            self,
            index=check_integer(where, "index", self.index, 0, MAX_SIZE),
            out_channels=out_channels,
            groups=check_groups(where, self.groups, out_channels),
            mask=check_array(where, "mask", self.mask, "bool", mask_shape),
            scale=check_array(where, "scale", self.scale, "int16", (out_channels,)),
            bias=check_array(where, "bias", self.bias, "int32", (out_channels,)),
            shift=check_integer(where, "shift", self.shift, 1, MAX_SHIFT),
        )
        if self.sign is not None:
            sign = check_array(where, "sign", self.sign, "bool", self.mask.shape)
            set_fields(self, sign=sign)
        if (self.residual is None) != (self.residual_scale is None):
            given, absent = "residual", "residual_scale"
            if self.residual is None:
                given, absent = absent, given
            raise InputError(
                f"{where}: {given} {one_line(getattr(self, given))} is given without {absent}"
            )
        if self.residual is not None:
            residual_scale = check_residual(where, self.residual, self.residual_scale)
            set_fields(self, residual_scale=residual_scale)
        check_choice(where, "output", self.output, (*ACTIVATION_TYPES, "int32"))

    def __eq__(self, other):
        if not isinstance(other, Conv):
            return NotImplemented
        names = (item.name for item in fields(self))
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def _default_stride(self):
        return (1, 1)

    @property
    def span(self) -> tuple[int, int]:
        """Lines and columns of the map from a window's first tap to its last one."""
        (height, width), (dy, dx) = self.kernel, self.dilation
        return (height - 1) * dy + 1, (width - 1) * dx + 1

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that the layer reads: the input, then the residual if any."""
        return (self.input,) if self.residual is None else (self.input, self.residual)

    def output_shape(self, input_shape, residual_shape=None):
        """Return the shape of the output for an input of shape (H, W, C).

        Raises
        ------
        InputError
            As for pools, or the mask is for another number of input channels, or the residual, if
            its shape is given, has another one than the output.
        """
        height, width, channels = super().output_shape(input_shape)
        group = group_channels(self.where, self.groups, self.input, channels)
        if self.mask.shape[3] != group:
            of = f"input {one_line(self.input)}"
            if self.groups > 1:
                of = f"each group of {of}"
            raise InputError(
                f"{self.where}: mask must have the {group} channels of {of},"
                f" not {self.mask.shape[3]}"
            )
        shape = height, width, self.out_channels
        if residual_shape is not None:
            check_residual_shape(self.where, self.residual, residual_shape, shape)
        return shape

    def output_type(self, *types):
        """Return the type of the output."""
        return self.output
