"""Numbers of several bytes in the link's firmware: the controller itself has bytes."""

from collections.abc import Sequence

from .instructions import Assembler, Condition

__all__ = ["WideNumber"]


class WideNumber:
    """A number of the direct page; adds the instructions that reckon with it.

    Parameters
    ----------
    assembler : Assembler
    places : sequence of int
        Where its bytes are, the lowest first.
    """

    def __init__(self, assembler: Assembler, places: Sequence[int]):
        self._a = assembler
        self.places = tuple(places)

    @classmethod
    def variable(cls, assembler: Assembler, count: int) -> "WideNumber":
        """Set aside so many bytes."""
        first = assembler.variables(count)
        return cls(assembler, range(first, first + count))

    @classmethod
    def constant(cls, assembler: Assembler, value: int, count: int) -> "WideNumber":
        """Return a number that nothing may change."""
        return cls(assembler, [assembler.constant(value >> 8 * n) for n in range(count)])

    def set(self, value: int) -> None:
        """Become a constant."""
        for n, at in enumerate(self.places):
            self._a.set(at, value >> 8 * n)

    def copy(self, source: "WideNumber") -> None:
        """Become another number."""
        for at, other in zip(self.places, source.places, strict=True):
            self._a.copy(other, at)

    def negative(self, source: "WideNumber") -> None:
        """Become another number's negative."""
        for n, (at, other) in enumerate(zip(self.places, source.places, strict=True)):
            self._a.load_constant(0)
            (self._a.subtract_carry if n else self._a.subtract)(other)
            self._a.store(at)

    def sum(self, one: "WideNumber", other: "WideNumber") -> None:
        """Become the sum of two numbers."""
        for n, at in enumerate(self.places):
            self._a.load(one.places[n])
            (self._a.add_carry if n else self._a.add)(other.places[n])
            self._a.store(at)

    def add_carry(self, done: str) -> None:
        """Add a carry of 1, in the accumulator too, to all bytes but the lowest.

        Goes to a label as soon as there is no carry; goes on where the number has become 0.
        """
        for at in self.places[1:]:
            self._a.add_to(at)
            self._a.jump_unless(Condition.CARRY, done)

    def count_up(self, again: str) -> None:
        """Add 1; go to a label unless it becomes 0."""
        self._a.increase(self.places[0])
        self._a.jump_unless(Condition.CARRY, again)
        self.add_carry(again)

    def add_accumulator(self, done: str) -> None:
        """Add the accumulator, and go to a label."""
        self._a.add_to(self.places[0])
        self._a.jump_unless(Condition.CARRY, done)
        self._a.load_constant(1)
        WideNumber(self._a, self.places[:-1]).add_carry(done)
        self._a.add_to(self.places[-1])
        self._a.jump(done)

    def jump_unless_zero(self, label: str) -> None:
        """Go to a label if one of the bytes is not 0."""
        for at in self.places:
            self._a.load(at)
            self._a.jump_unless(Condition.ZERO, label)
