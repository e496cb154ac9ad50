"""What all layers share."""

from dataclasses import dataclass
from typing import ClassVar

from hiddenite.golden.checks import check_string, one_line


def set_fields(frozen, **values):
    """Store checked values in a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


@dataclass(frozen=True, kw_only=True)
class NamedLayer:
    """A layer: an operation on tensors, with a name that is also its output's.

    Each kind of layer has two attributes more. `op` is what the file calls it; `inputs` are the
    names of the tensors that it reads, in the order in which `output_shape` and `output_type` take
    their shapes and types.
    """

    op: ClassVar[str]
    name: str

    def __post_init__(self):
        check_string("layer", "name", self.name)

    @property
    def where(self):
        """How messages name the layer."""
        return f"layer {one_line(self.name)}"
