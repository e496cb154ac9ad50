"""Layers without a window: tensors are added, put side by side, or made larger."""

from dataclasses import dataclass
from typing import ClassVar

from hiddenite.golden.checks import (
    check_choice,
    check_integer,
    check_pair,
    check_string,
    one_line,
)
from hiddenite.golden.errors import InputError

from .base import NamedLayer, set_fields
from .conv import MAX_SHIFT
from .image import ACTIVATION_TYPES, MAX_SIZE
from .residual import check_residual, check_residual_shape

MAX_ADD_SCALE = 32_767
"""The largest factor of an add's input; the smallest is 1."""

MAX_CONCAT = 64
"""The most tensors that a concat joins; the fewest are one."""

MAX_FACTOR = 16
"""The most times that an upsample repeats a pixel along an axis."""


@dataclass(frozen=True, kw_only=True)
class Add(NamedLayer):
    """The weighted sum of two tensors of one shape, of either type, then shift and clip.

    Parameters
    ----------
    name : str
        Name of the layer and of its output.
    input : str
        Name of the first tensor.
    scale : int
        Its factor, 1 to 32,767.
    residual : str
        Name of the second tensor, which may be the first one.
    residual_scale : int
        Its factor, 0 to 2**24 - 1.
    shift : int
        Right shift that rounds half up, 1 to 24.
    output : {"uint8", "int8"}
        Type of the output.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    op: ClassVar[str] = "add"

    input: str
    scale: int
    residual: str
    residual_scale: int
    shift: int
    output: str = "uint8"

    def __post_init__(self):
        super().__post_init__()
        where = self.where
        check_string(where, "input", self.input)
        set_fields(
            self,
            scale=check_integer(where, "scale", self.scale, 1, MAX_ADD_SCALE),
            residual_scale=check_residual(where, self.residual, self.residual_scale),
            shift=check_integer(where, "shift", self.shift, 1, MAX_SHIFT),
        )
        check_choice(where, "output", self.output, ACTIVATION_TYPES)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that the layer reads: the input, then the residual."""
        return self.input, self.residual

    def output_shape(self, input_shape, residual_shape):
        """Return the shape of the output, which is that of both tensors.

        Raises
        ------
        InputError
            The shapes differ.
        """
        check_residual_shape(self.where, self.residual, residual_shape, input_shape)
        return input_shape

    def output_type(self, *types):
        """Return the type of the output."""
        return self.output


@dataclass(frozen=True, kw_only=True)
class Concat(NamedLayer):
    """The channels of tensors of one height, width and type, one after the other.

    Parameters
    ----------
    name : str
        Name of the layer and of its output.
    inputs : sequence of str
        Names of one to 64 tensors; one may occur more than once. Stored as a tuple.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    op: ClassVar[str] = "concat"

    inputs: tuple[str, ...]

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.inputs, tuple | list):
            raise InputError(
                f"{self.where}: inputs must be a list of names, not {one_line(self.inputs)}"
            )
        if not 1 <= len(self.inputs) <= MAX_CONCAT:
            raise InputError(
                f"{self.where}: inputs must be 1 to {MAX_CONCAT} names, not {len(self.inputs)}"
            )
        for name in self.inputs:
            check_string(self.where, "each of inputs", name)
        set_fields(self, inputs=tuple(self.inputs))

    def output_shape(self, *shapes):
        """Return the shape of the output: that of the inputs, with the channels of all of them.

        Raises
        ------
        InputError
            The heights or widths differ, or the channels are more than 65,535.
        """
        height, width, _ = shapes[0]
        for name, shape in zip(self.inputs, shapes, strict=True):
            if shape[:2] != (height, width):
                raise InputError(
                    f"{self.where}: input {one_line(name)} must have the height and width of input"
                    f" {one_line(self.inputs[0])} {(height, width)}, not {shape[:2]}"
                )
        channels = sum(shape[2] for shape in shapes)
        return height, width, check_integer(self.where, "output channels", channels, 1, MAX_SIZE)

    def output_type(self, *types):
        """Return the type of the output, which is that of all inputs.

        Raises
        ------
        InputError
            The types differ.
        """
        for name, found in zip(self.inputs, types, strict=True):
            if found != types[0]:
                raise InputError(
                    f"{self.where}: input {one_line(name)} must have the type of input"
                    f" {one_line(self.inputs[0])} {types[0]}, not {found}"
                )
        return types[0]


@dataclass(frozen=True, kw_only=True)
class Upsample(NamedLayer):
    """Every pixel several times down and across: the nearest neighbour. The type is the input's.

    Parameters
    ----------
    name, input : str
        Names of the layer, which is also its output's, and of the tensor that it reads.
    factor : int or (int, int)
        How many times down and across, each 1 to 16; one number stands for two equal ones.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    op: ClassVar[str] = "upsample"

    input: str
    factor: tuple[int, int]

    def __post_init__(self):
        super().__post_init__()
        check_string(self.where, "input", self.input)
        factor = check_pair(self.where, "factor", self.factor, 1, MAX_FACTOR)
        set_fields(self, factor=factor)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that the layer reads."""
        return (self.input,)

    def output_shape(self, input_shape):
        """Return the shape of the output for an input of shape (H, W, C).

        Raises
        ------
        InputError
            The height or width is more than 65,535.
        """
        sizes = [
            check_integer(self.where, f"output {name}", size * factor, 1, MAX_SIZE)
            for name, size, factor in zip(
                ("height", "width"), input_shape[:2], self.factor, strict=True
            )
        ]
        return *sizes, input_shape[2]

    def output_type(self, input_type):
        """Return the type of the output for an input of this type."""
        return input_type
