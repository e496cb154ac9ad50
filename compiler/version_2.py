"""What of version 2 of the network file the engine does not do."""

from collections.abc import Iterator

from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Conv, Layer, Network, Window

__all__ = ["check_version_1"]


def check_version_1(network: Network) -> None:
    """Refuse a network that uses what the engine does not do.

    Raises
    ------
    InputError
        It names the first layer that does, and what that is.
    """
    if network.input.type != "uint8":
        raise InputError(
            f"input {network.input.name!r}: type must be 'uint8' for the hardware, not"
            f" {network.input.type!r}"
        )
    for layer in network.layers:
        for what, rule, value in _features(layer):
            raise InputError(f"{layer.where}: {what} must be {rule} for the hardware, not {value}")


def _features(layer: Layer) -> Iterator[tuple[str, str, object]]:
    """Yield what a layer uses, as a rule that it breaks: a name, what it must be, and its value."""
    if not isinstance(layer, Window):
        yield "op", "'conv', 'max_pool' or 'avg_pool'", repr(layer.op)
        return
    if isinstance(layer, Conv):
        if layer.groups != 1:
            yield "groups", "1", layer.groups
        if layer.dilation != (1, 1):
            yield "dilation", "1", layer.dilation
        if layer.sign is not None:
            yield "sign", "absent", "a tensor"
        if layer.output == "int8":
            yield "output", "'uint8' or 'int32'", repr(layer.output)
