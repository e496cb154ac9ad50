"""Packages that come with an extra of this one."""

import contextlib
from collections.abc import Iterator

from hiddenite.golden.errors import InputError

__all__ = ["packages_of"]


@contextlib.contextmanager
def packages_of(extra: str, what: str) -> Iterator[None]:
    """Say what to install where a package of an extra is missing.

    Parameters
    ----------
    extra : str
        Its name.
    what : str
        What cannot do without the package, as messages call it.

    Raises
    ------
    InputError
        A module that is imported here is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("hiddenite"):
            raise
        raise InputError(
            f"{what} must have the package {error.name!r}, which is not installed:"
            f" pip install 'hiddenite[{extra}]'"
        ) from None
