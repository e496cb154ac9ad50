"""The parts of a network: its input, its layers, and the tensors between them.

Every object checks itself when it is made. Tensors are height x width x channels; kernel, stride
and padding are (height, width).
"""

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from hiddenite.golden.checks import (
    check_array,
    check_integer,
    check_pair,
    check_string,
    one_line,
)
from hiddenite.golden.errors import InputError

MAX_SIZE = 65_535
"""The largest height, width, number of channels and weight-set index."""

MAX_SHIFT = 24
"""The largest right shift of a conv or an average pool; the smallest is 1."""

MAX_RESIDUAL_SCALE = 2**24 - 1
"""The largest factor of a residual."""

MAX_POOL_SCALE = 32_767
"""The largest factor of an average pool's sum; the smallest is 1."""


def set_fields(frozen, **values):
    """Store checked values in a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


@dataclass(frozen=True, kw_only=True)
class Input:
    """The image: an unsigned 8-bit tensor with a name.

    Parameters
    ----------
    name : str
        What layers call it.
    height, width, channels : int
        Its shape, each 1 to 65,535.
    """

    name: str
    height: int
    width: int
    channels: int

    def __post_init__(self):
        check_string("input", "name", self.name)
        for name in ("height", "width", "channels"):
            size = check_integer("input", name, getattr(self, name), 1, MAX_SIZE)
            set_fields(self, **{name: size})

    @property
    def shape(self):
        """(height, width, channels)."""
        return self.height, self.width, self.channels


@dataclass(frozen=True, kw_only=True)
class _Window:
    """What convs and pools share: a window that moves over one input."""

    op: ClassVar[str]
    name: str
    input: str
    kernel: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] = (0, 0)

    def __post_init__(self):
        check_string("layer", "name", self.name)
        check_string(self.where, "input", self.input)
        kernel = check_pair(self.where, "kernel", self.kernel, 1)
        stride = self._default_stride(kernel) if self.stride is None else self.stride
        stride = check_pair(self.where, "stride", stride, 1)
        padding = check_pair(self.where, "padding", self.padding, 0)
        for padding_size, kernel_size in zip(padding, kernel, strict=True):
            check_integer(self.where, "padding", padding_size, 0, kernel_size - 1)
        set_fields(self, kernel=kernel, stride=stride, padding=padding)

    @staticmethod
    def _default_stride(kernel):
        return kernel

    @property
    def where(self):
        """How messages name the layer."""
        return f"layer {one_line(self.name)}"

    @property
    def strides(self) -> tuple[int, int]:
        """The stride: as given, or the default."""
        assert self.stride is not None
        return self.stride

    @property
    def inputs(self):
        """Names of the tensors that the layer reads."""
        return (self.input,)

    def output_shape(self, input_shape):
        """Return the shape of the output for an input of shape (H, W, C).

        Raises
        ------
        InputError
            The window is larger than the padded map, or the output larger than 65,535.
        """
        sizes = []
        for axis, size, kernel, stride, padding in zip(
            ("height", "width"),
            input_shape[:2],
            self.kernel,
            self.strides,
            self.padding,
            strict=True,
        ):
            padded = size + 2 * padding
            if kernel > padded:
                raise InputError(
                    f"{self.where}: kernel {axis} must be at most the padded map's {axis}"
                    f" {padded}, not {kernel}"
                )
            size = (padded - kernel) // stride + 1
            sizes.append(check_integer(self.where, f"output {axis}", size, 1, MAX_SIZE))
        return *sizes, input_shape[2]


@dataclass(frozen=True, kw_only=True)
class Conv(_Window):
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
        (KH, KW), each at least 1.
    stride : int or (int, int)
        Each at least 1; the default is 1.
    padding : int or (int, int)
        Zero activations on each side, 0 to kernel - 1; the default is 0.
    mask : bool array, (O, KH, KW, C)
        True where a weight is kept. A copy is stored, read-only, as for the other two arrays.
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
    output : {"uint8", "int32"}
        Type of the output; "int32" tensors cannot be read by a layer.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    op: ClassVar[str] = "conv"

    index: int
    out_channels: int
    mask: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    shift: int
    residual: str | None = None
    residual_scale: int | None = None
    output: str = "uint8"

    def __post_init__(self):
        super().__post_init__()
        where = self.where
        out_channels = check_integer(where, "out_channels", self.out_channels, 1, MAX_SIZE)
        mask_shape = (out_channels, *self.kernel, None)
        set_fields(
            self,
            index=check_integer(where, "index", self.index, 0, MAX_SIZE),
            out_channels=out_channels,
            mask=check_array(where, "mask", self.mask, "bool", mask_shape),
            scale=check_array(where, "scale", self.scale, "int16", (out_channels,)),
            bias=check_array(where, "bias", self.bias, "int32", (out_channels,)),
            shift=check_integer(where, "shift", self.shift, 1, MAX_SHIFT),
        )
        if (self.residual is None) != (self.residual_scale is None):
            given, absent = "residual", "residual_scale"
            if self.residual is None:
                given, absent = absent, given
            raise InputError(
                f"{where}: {given} {one_line(getattr(self, given))} is given without {absent}"
            )
        if self.residual is not None:
            check_string(where, "residual", self.residual)
            residual_scale = check_integer(
                where, "residual_scale", self.residual_scale, 0, MAX_RESIDUAL_SCALE
            )
            set_fields(self, residual_scale=residual_scale)
        if self.output not in ("uint8", "int32"):
            raise InputError(
                f"{where}: output must be 'uint8' or 'int32', not {one_line(self.output)}"
            )

    def __eq__(self, other):
        if not isinstance(other, Conv):
            return NotImplemented
        names = (item.name for item in fields(self))
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    @staticmethod
    def _default_stride(kernel):
        return (1, 1)

    @property
    def strides(self) -> tuple[int, int]:
        """The stride: as given, or the default."""
        assert self.stride is not None
        return self.stride

    @property
    def inputs(self):
        """Names of the tensors that the layer reads: the input, then the residual if any."""
        return (self.input,) if self.residual is None else (self.input, self.residual)

    def output_shape(self, input_shape):
        """Return the shape of the output for an input of shape (H, W, C).

        Raises
        ------
        InputError
            As for pools, or the mask is for another number of input channels.
        """
        height, width, channels = super().output_shape(input_shape)
        if self.mask.shape[3] != channels:
            raise InputError(
                f"{self.where}: mask must have the {channels} channels of input"
                f" {one_line(self.input)}, not {self.mask.shape[3]}"
            )
        return height, width, self.out_channels


@dataclass(frozen=True, kw_only=True)
class MaxPool(_Window):
    """The largest activation of each window; padding counts as 0.

    Parameters
    ----------
    name, input : str
        Names of the layer, which is also its output's, and of the tensor that it reads.
    kernel, stride, padding : int or (int, int)
        As in `Conv`, but the stride's default is the kernel.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    op: ClassVar[str] = "max_pool"
    output: ClassVar[str] = "uint8"


@dataclass(frozen=True, kw_only=True)
class AvgPool(_Window):
    """The sum of each window times `scale`, shifted right by `shift`; padding counts as 0.

    Parameters
    ----------
    name, input : str
        Names of the layer, which is also its output's, and of the tensor that it reads.
    kernel, stride, padding : int or (int, int)
        As in `Conv`, but the stride's default is the kernel.
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
    output: ClassVar[str] = "uint8"

    scale: int
    shift: int

    def __post_init__(self):
        super().__post_init__()
        set_fields(
            self,
            scale=check_integer(self.where, "scale", self.scale, 1, MAX_POOL_SCALE),
            shift=check_integer(self.where, "shift", self.shift, 1, MAX_SHIFT),
        )


Layer = Conv | MaxPool | AvgPool

LAYER_CLASSES = {cls.op: cls for cls in (Conv, MaxPool, AvgPool)}


class Tensors:
    """Shapes and types of the tensors that are defined so far."""

    def __init__(self, image):
        self.shapes = {image.name: image.shape}
        self.types = {image.name: "uint8"}

    def shape_of(self, where, role, name):
        """Return the shape of a tensor that a layer reads as its `role`."""
        if check_string(where, role, name) not in self.shapes:
            raise InputError(f"{where}: {role} {one_line(name)} must be defined before it is used")
        if self.types[name] != "uint8":
            raise InputError(
                f"{where}: {role} {one_line(name)} must be uint8, not {self.types[name]}"
            )
        return self.shapes[name]

    def define(self, layer):
        """Add a layer's output."""
        shape = layer.output_shape(self.shape_of(layer.where, "input", layer.input))
        for name in layer.inputs[1:]:
            residual_shape = self.shape_of(layer.where, "residual", name)
            if residual_shape != shape:
                raise InputError(
                    f"{layer.where}: residual {one_line(name)} must have the output's shape"
                    f" {shape}, not {residual_shape}"
                )
        if layer.name in self.shapes:
            raise InputError(
                f"{layer.where}: name {one_line(layer.name)} must not be defined twice"
            )
        self.shapes[layer.name] = shape
        self.types[layer.name] = layer.output
