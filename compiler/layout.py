"""How tensors lie in the activation memory."""

from dataclasses import dataclass

from hiddenite.rtl.configuration import Configuration

__all__ = ["PLAIN", "Form", "Layout"]


@dataclass(frozen=True)
class Form:
    """What the layers that read a tensor ask of the way it is stored.

    Parameters
    ----------
    phases : (int, int)
        Planes along y and x: position p is in plane p mod phases.
    first_only : (bool, bool)
        Along y and x, no plane but the first is read.
    """

    phases: tuple[int, int]
    first_only: tuple[bool, bool] = (False, False)

    def merged(self, other: "Form") -> "Form":
        """The form that serves the readers of both; they have the same phases."""
        (y, x), (other_y, other_x) = self.first_only, other.first_only
        return Form(self.phases, (y and other_y, x and other_x))


PLAIN = Form((1, 1))
"""One plane: the form of a tensor that is read with a stride of 1, and of every residual."""


@dataclass(frozen=True)
class Layout:
    """A tensor in memory (see `hiddenite.rtl.program.layer_table.LayerDescriptor`).

    Where only the first plane is read, there is no other: the store drops what belongs there.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width, channels.
    form : Form
    configuration : Configuration
    images : int
        There is one behind the other.
    """

    shape: tuple[int, int, int]
    form: Form
    configuration: Configuration
    images: int = 1

    @property
    def phases(self) -> tuple[int, int]:
        """Planes along y and x, of which there may be the first only."""
        return self.form.phases

    @property
    def groups(self) -> int:
        """Words per pixel."""
        return -(-self.shape[2] // self.configuration.ich)

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of banks in a plane, along y and x."""
        c = self.configuration
        (height, width, _), (phases_y, phases_x) = self.shape, self.phases
        return -(-height // (phases_y * c.rows)), -(-width // (phases_x * c.cols))

    @property
    def row_steps(self) -> tuple[int, int]:
        """Address from a row of banks to the next, along y and x."""
        return self.rows[1] * self.groups, self.groups

    @property
    def plane_steps(self) -> tuple[int, int]:
        """Address from a plane to the next, along y and x; 0 where there is but one."""
        planes_y, planes_x = self._planes
        return (planes_x * self._plane if planes_y > 1 else 0), (self._plane if planes_x > 1 else 0)

    @property
    def words(self) -> int:
        """Words that it takes in each bank."""
        return self.images * self.image_step

    @property
    def image_step(self) -> int:
        """Address from an image to the next."""
        return self._planes[0] * self._planes[1] * self._plane

    @property
    def bytes(self) -> int:
        """Bytes that it takes in all banks."""
        return self.words * self.configuration.banks * self.configuration.ich

    @property
    def _planes(self) -> tuple[int, int]:
        """Planes along y and x that there are."""
        (phases_y, phases_x), (only_y, only_x) = self.phases, self.form.first_only
        return 1 if only_y else phases_y, 1 if only_x else phases_x

    @property
    def _plane(self) -> int:
        """Words of a plane in each bank."""
        return self.rows[0] * self.rows[1] * self.groups
