"""How tensors lie in the activation memory."""

from dataclasses import dataclass, replace

from hiddenite.rtl.configuration import Configuration

__all__ = ["PLAIN", "Form", "Layout", "Placed"]


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
    within : Layout, optional
        The tensor of which this one is a view: it has some of the channels, or some of the rows of
        banks.
    every : (int, int)
        Of a view along y and x: rows of banks of that tensor from a row of banks to the next.
    """

    shape: tuple[int, int, int]
    form: Form
    configuration: Configuration
    images: int = 1
    within: "Layout | None" = None
    every: tuple[int, int] = (1, 1)

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
        if self.within is None:
            return self.rows[1] * self.groups, self.groups
        y, x = self.within.row_steps
        return y * self.every[0], x * self.every[1]

    @property
    def plane_steps(self) -> tuple[int, int]:
        """Address from a plane to the next, along y and x; 0 where there is but one."""
        if self.within is not None:
            return self.within.plane_steps
        planes_y, planes_x = self._planes
        return (planes_x * self._plane if planes_y > 1 else 0), (self._plane if planes_x > 1 else 0)

    @property
    def image_step(self) -> int:
        """Address from an image to the next."""
        if self.within is not None:
            return self.within.image_step
        return self._planes[0] * self._planes[1] * self._plane

    @property
    def words(self) -> int:
        """Words that it takes in each bank; between those of a view lie others."""
        return self.images * self._planes[0] * self._planes[1] * self._plane

    @property
    def extent(self) -> int:
        """Words of a bank from its first one to its last one, with those of others between them."""
        steps = (self.image_step, *self.plane_steps, *self.row_steps)
        counts = (self.images, *self._planes, *self.rows)
        return self.groups + sum(s * (n - 1) for s, n in zip(steps, counts, strict=True))

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


@dataclass(frozen=True)
class Placed:
    """A tensor, or a view of one, at its place in memory."""

    layout: Layout
    address: int

    def channels(self, first: int, count: int) -> "Placed":
        """The view of so many channels; the first one begins a word."""
        layout = self.layout
        assert first % layout.configuration.ich == 0
        view = replace(layout, shape=(*layout.shape[:2], count), within=layout, every=(1, 1))
        return Placed(view, self.address + first // layout.configuration.ich)

    def bank_rows(
        self, first: tuple[int, int], every: tuple[int, int], size: tuple[int, int]
    ) -> "Placed":
        """The view of every n-th row of banks along y and x, from one on: so many pixels."""
        layout = self.layout
        view = replace(layout, shape=(*size, layout.shape[2]), within=layout, every=every)
        steps = zip(first, layout.row_steps, strict=True)
        return Placed(view, self.address + sum(row * step for row, step in steps))
