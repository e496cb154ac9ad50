"""How tensors lie in the activation memory."""

from dataclasses import dataclass

from hiddenite.rtl.configuration import Configuration

__all__ = ["Layout"]


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
