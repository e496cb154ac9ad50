"""Stages before tensors have addresses."""

from dataclasses import dataclass, replace

from hiddenite.compiler.layout import PLAIN, Form
from hiddenite.compiler.stage import Task

from .walks import Walk

__all__ = ["Part", "Stored", "Work"]


@dataclass(frozen=True)
class Stored:
    """A tensor in one of its forms.

    Attributes
    ----------
    name : str
        Of the network's tensor, or of the layer that needs it besides.
    form : Form
    number : int
        0 for what is written, or copied, once in this form; others are further copies of it (above
        0), and tensors that the network does not have (below 0).
    """

    name: str
    form: Form = PLAIN
    number: int = 0


@dataclass(frozen=True)
class Part:
    """What a stage reads or writes of a stored tensor: all of it, or a view.

    Attributes
    ----------
    stored : Stored
    channels : (int, int), optional
        The first channel, which begins a word, and how many.
    rows, every : (int, int), optional
        Rows of banks along y and x: the first one, and how far it is to the next.
    """

    stored: Stored
    channels: tuple[int, int] | None = None
    rows: tuple[int, int] | None = None
    every: tuple[int, int] = (1, 1)

    def outputs(self, walk: Walk) -> "Part":
        """What a walk makes of it; of all tensors of the outputs' shape."""
        if walk.whole:
            return self
        first, _ = self.channels or (0, 0)
        return replace(self, channels=(first + walk.first, walk.count))

    def inputs(self, walk: Walk) -> "Part":
        """What a walk reads for its first tile."""
        first, _ = self.channels or (0, 0)
        return replace(self, channels=(first + walk.word * walk.c.ich, walk.inputs))

    @property
    def whole(self) -> bool:
        """Whether it is all of the tensor."""
        return self.channels is None and self.rows is None


@dataclass(frozen=True, kw_only=True)
class Work(Task):
    """A task on tensors that have no addresses yet.

    Attributes
    ----------
    source, residual, target : Part, optional
    """

    source: Part | None = None
    residual: Part | None = None
    target: Part | None = None

    @property
    def reads(self) -> tuple[Part, ...]:
        """Source and residual, as far as there are any."""
        return tuple(part for part in (self.source, self.residual) if part is not None)
