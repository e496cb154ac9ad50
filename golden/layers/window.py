"""A window that moves over one tensor, as in convs and pools."""

from dataclasses import dataclass

from hiddenite.golden.checks import (
    check_integer,
    check_pair,
    check_sides,
    check_string,
)
from hiddenite.golden.errors import InputError

from .base import NamedLayer, set_fields
from .image import MAX_SIZE


@dataclass(frozen=True, kw_only=True)
class Window(NamedLayer):
    """What convs and pools share.

    Parameters
    ----------
    name, input : str
        Names of the layer, which is also its output's, and of the tensor that it reads.
    kernel : int or (int, int)
        (KH, KW), each at least 1; one number stands for two equal ones, here and below.
    stride : int or (int, int), optional
        Each at least 1; the default is the kernel in pools and 1 in convs.
    padding : int, (int, int) or (int, int, int, int)
        What lies around the map, 0 to `span` - 1 on each side: (top, left, bottom, right), or
        (y, x) for both sides alike. Stored as four numbers.
    """

    input: str
    kernel: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: tuple[int, ...] = (0, 0, 0, 0)

    def __post_init__(self):
        super().__post_init__()
        check_string(self.where, "input", self.input)
        set_fields(self, kernel=check_pair(self.where, "kernel", self.kernel, 1))
        stride = self._default_stride() if self.stride is None else self.stride
        set_fields(self, stride=check_pair(self.where, "stride", stride, 1))
        padding = check_sides(self.where, "padding", self.padding, 0)
        for size, span in zip(padding, self.span * 2, strict=True):
            check_integer(self.where, "padding", size, 0, span - 1)
        set_fields(self, padding=padding)

    def _default_stride(self):
        return self.kernel

    @property
    def strides(self) -> tuple[int, int]:
        """The stride: as given, or the default."""
        assert self.stride is not None
        return self.stride

    @property
    def span(self) -> tuple[int, int]:
        """Lines and columns of the map from a window's first tap to its last one."""
        return self.kernel

    @property
    def inputs(self) -> tuple[str, ...]:
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
        for axis, name in enumerate(("height", "width")):
            span = self.span[axis]
            padded = input_shape[axis] + self.padding[axis] + self.padding[axis + 2]
            if span > padded:
                dilated = "dilated " if span > self.kernel[axis] else ""
                raise InputError(
                    f"{self.where}: {dilated}kernel {name} must be at most the padded map's {name}"
                    f" {padded}, not {span}"
                )
            size = (padded - span) // self.strides[axis] + 1
            sizes.append(check_integer(self.where, f"output {name}", size, 1, MAX_SIZE))
        return *sizes, input_shape[2]

    def output_type(self, input_type):
        """Return the type of the output for an input of this type."""
        return input_type
