"""All of an engine's parameters, and the fingerprint that its programs carry."""

import zlib
from dataclasses import dataclass, fields

from .checks import check_power_of_two
from .sizes import Sizes
from .technology import Technology

__all__ = ["PROGRAM_FORMAT", "Configuration"]

PROGRAM_FORMAT = 8
"""Version of the program's packets; part of every fingerprint."""


@dataclass(frozen=True, kw_only=True)
class Configuration(Technology, Sizes):
    """What one engine is made of: `Sizes` and `Technology`.

    Raises
    ------
    InputError
        When a value breaks a rule of its part.
    """

    def __post_init__(self) -> None:
        Sizes.__post_init__(self)
        Technology.__post_init__(self)
        whole = self.post_lanes == self.och <= self.ich
        limit, note = (
            (self.cols, "cols") if whole else (1, "post_lanes below och, or och above ich")
        )
        check_power_of_two(self, "post_pixels", 1, limit, f" ({note})")

    @property
    def fingerprint(self) -> int:
        """32 bits that a program carries, so that no other engine runs it.

        Covers the sizes, and of the technology what a program follows: an array that complements
        sums adds other constants, and a decoder takes its words in its own order.
        """
        values = {field.name: getattr(self, field.name) for field in fields(Sizes)}
        values |= {"flip": self.array == "flip", "mask_decoder": self.mask_decoder}
        text = ",".join(f"{name}={value}" for name, value in values.items())
        return zlib.crc32(f"hiddenite,{PROGRAM_FORMAT},{text}".encode())
