"""What of a network the engine does not do."""

from collections.abc import Iterator

from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Layer, Network, Upsample
from hiddenite.rtl.configuration import Configuration

from .lowering.upsample import factors

__all__ = ["check_features"]


def check_features(network: Network, c: Configuration) -> None:
    """Refuse a network that uses what the engine does not do.

    Raises
    ------
    InputError
        It names the first layer that does, and what that is.
    """
    for layer in network.layers:
        for what, rule, value in _features(layer, c):
            raise InputError(f"{layer.where}: {what} must be {rule} for the hardware, not {value}")


def _features(layer: Layer, c: Configuration) -> Iterator[tuple[str, str, object]]:
    """Yield what a layer uses, as a rule that it breaks: a name, what it must be, and its value."""
    if isinstance(layer, Upsample):
        for axis, factor, banks in zip("yx", layer.factor, (c.rows, c.cols), strict=True):
            if not factors(banks, factor):
                known = [str(n) for n in range(1, 17) if factors(banks, n)]
                rule = f"{', '.join(known[:-1])} or {known[-1]} with {banks} "
                rule += "rows" if axis == "y" else "cols"
                yield f"factor along {axis}", rule, factor
