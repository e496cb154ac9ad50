"""The image that a network begins with."""

from dataclasses import dataclass

from hiddenite.golden.checks import check_choice, check_integer, check_string

from .base import set_fields

MAX_SIZE = 65_535
"""The largest height, width, number of channels and weight-set index."""

ACTIVATION_TYPES = ("uint8", "int8")
"""Types of the tensors that a layer can read."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """The image: an 8-bit tensor with a name.

    Parameters
    ----------
    name : str
        What layers call it.
    height, width, channels : int
        Its shape, each 1 to 65,535.
    type : {"uint8", "int8"}
        Type of its activations.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    name: str
    height: int
    width: int
    channels: int
    type: str = "uint8"

    def __post_init__(self):
        check_string("input", "name", self.name)
        for name in ("height", "width", "channels"):
            size = check_integer("input", name, getattr(self, name), 1, MAX_SIZE)
            set_fields(self, **{name: size})
        check_choice("input", "type", self.type, ACTIVATION_TYPES)

    @property
    def shape(self):
        """(height, width, channels)."""
        return self.height, self.width, self.channels
