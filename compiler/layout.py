"""How tensors lie in the activation memory, and which of them is where at what time."""

from dataclasses import dataclass

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration

__all__ = ["Layout", "MemoryPlan"]


@dataclass(frozen=True)
class Layout:
    """A tensor in memory (see `hiddenite.rtl.program.packets.LayerDescriptor`).

    Parameters
    ----------
    shape : (int, int, int)
        Height, width, channels.
    phases : (int, int)
        Planes along y and x: the stride of the layer that reads it.
    configuration : Configuration
    """

    shape: tuple[int, int, int]
    phases: tuple[int, int]
    configuration: Configuration

    @property
    def groups(self) -> int:
        """Words per pixel."""
        return -(-self.shape[2] // self.configuration.ich)

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of banks in a plane, along y and x."""
        c = self.configuration
        planes = (-(-size // n) for size, n in zip(self.shape[:2], self.phases, strict=True))
        return tuple(-(-size // n) for size, n in zip(planes, (c.rows, c.cols), strict=True))

    @property
    def row_steps(self) -> tuple[int, int]:
        """Address from a row of banks to the next, along y and x."""
        return self.rows[1] * self.groups, self.groups

    @property
    def plane_steps(self) -> tuple[int, int]:
        """Address from a plane to the next, along y and x."""
        plane = self.rows[0] * self.rows[1] * self.groups
        return self.phases[1] * plane, plane

    @property
    def words(self) -> int:
        """Words that it takes in each bank."""
        return self.phases[0] * self.plane_steps[0]


class MemoryPlan:
    """First address of each tensor, so that no two that live at one time overlap.

    Parameters
    ----------
    words : int
        Depth of a bank.

    Attributes
    ----------
    used : int
        Words of a bank that are used at any time.
    """

    def __init__(self, words: int):
        self.words = words
        self.used = 0
        self._live: dict[object, tuple[int, int]] = {}

    def place(self, key: object, size: int, where: str) -> int:
        """First address for a tensor, the lowest that is free.

        Raises
        ------
        InputError
            No room; ``where`` names the layer.
        """
        address = 0
        for begin, end in sorted(self._live.values()):
            if begin - address >= size:
                break
            address = end
        if address + size > self.words:
            raise InputError(
                f"{where}: activation memory: needs {address + size} words in each bank, "
                f"has {self.words}: raise activation_words"
            )
        self._live[key] = address, address + size
        self.used = max(self.used, address + size)
        return address

    def free(self, key: object) -> None:
        """Forget a tensor."""
        del self._live[key]
