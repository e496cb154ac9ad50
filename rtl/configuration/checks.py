"""Rules that values of a configuration are held to, and how a broken one is said."""

from dataclasses import fields

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError

__all__ = ["check_choice", "check_multiple", "check_power_of_two", "check_range", "check_types"]


def check_types(values: object, part: type) -> None:
    """Every field of a part is of its type.

    Raises
    ------
    InputError
        One is not; so do the other checks where their rule is broken.
    """
    for field in fields(part):
        value = getattr(values, field.name)
        if type(value) is not field.type:
            kind = "an integer" if field.type is int else "a string"
            raise InputError(f"configuration: {field.name} must be {kind}, not {one_line(value)}")


def check_range(values: object, name: str, low: int, high: int, note: str = "") -> None:
    """Hold a number to a range, ends included."""
    value = getattr(values, name)
    if not low <= value <= high:
        raise InputError(
            f"configuration: {name} must be {low} to {high}{note}, not {one_line(value)}"
        )


def check_power_of_two(values: object, name: str, low: int, high: int, note: str = "") -> None:
    """Hold a number to the powers of two in a range, ends included."""
    value = getattr(values, name)
    if value < 1 or value & (value - 1) or not low <= value <= high:
        raise InputError(
            f"configuration: {name} must be a power of two from {low} to {high}{note}, "
            f"not {one_line(value)}"
        )


def check_multiple(values: object, name: str, unit: int, high: int) -> None:
    """Hold a number to the multiples of a unit, from the unit to an end that is included."""
    value = getattr(values, name)
    if value % unit or not unit <= value <= high:
        raise InputError(
            f"configuration: {name} must be a multiple of {unit} from {unit} to {high}, "
            f"not {one_line(value)}"
        )


def check_choice(values: object, name: str, choices: tuple[str, ...]) -> None:
    """Hold a string to some words."""
    value = getattr(values, name)
    if value not in choices:
        *most, last = map(repr, choices)
        raise InputError(
            f"configuration: {name} must be {', '.join(most)} or {last}, not {one_line(value)}"
        )
