"""Hidden networks.

A `Network` is an input and a list of layers in order of execution; a layer is a `Conv`, a
`MaxPool`, an `AvgPool`, an `Add`, a `Concat` or an `Upsample`, and its name is also the name of the
tensor that it computes. There are no invalid networks, whether they come from a file or from
Python: making one checks it.
"""

from dataclasses import dataclass, field

from hiddenite.golden import network_file
from hiddenite.golden.checks import check_integer, check_string, listing, one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import (
    LAYER_CLASSES,
    Add,
    AvgPool,
    Concat,
    Conv,
    Input,
    Layer,
    MaxPool,
    Tensors,
    Upsample,
    Window,
    set_fields,
)

__all__ = [
    "Add",
    "AvgPool",
    "Concat",
    "Conv",
    "Input",
    "Layer",
    "MaxPool",
    "Network",
    "Upsample",
    "Window",
]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A hidden network.

    Parameters
    ----------
    name : str
        Its name, for people.
    seed : int
        Start of all its weights, 0 to 2**32 - 1.
    input : Input
        The image.
    layers : sequence of Conv, MaxPool, AvgPool, Add, Concat and Upsample
        In order of execution; the last one's output is the result. Stored as a tuple.
    classes : sequence of str, optional
        Names of the result's channels. Stored as a tuple; its length is not checked.

    Attributes
    ----------
    shapes : dict of str to (int, int, int)
        (height, width, channels) of each tensor, the image first, then one for each layer.
    types : dict of str to {"uint8", "int8", "int32"}
        Type of each tensor, in the same order.

    Raises
    ------
    InputError
        A value breaks one of these rules, or the layers do not fit one another.
    """

    name: str
    seed: int
    input: Input
    layers: tuple[Layer, ...]
    classes: tuple[str, ...] | None = None
    shapes: dict[str, tuple[int, int, int]] = field(init=False, repr=False, compare=False)
    types: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        where = "network"
        check_string(where, "name", self.name)
        seed = check_integer(where, "seed", self.seed, 0, 2**32 - 1)
        if not isinstance(self.input, Input):
            raise InputError(f"{where}: input must be an Input, not {one_line(self.input)}")
        if not isinstance(self.layers, tuple | list) or not self.layers:
            raise InputError(
                f"{where}: layers must be a list of at least one, not {one_line(self.layers)}"
            )
        classes = self.classes
        if classes is not None:
            if not isinstance(classes, tuple | list):
                raise InputError(
                    f"{where}: classes must be a list of strings, not {one_line(classes)}"
                )
            classes = tuple(check_string(where, "each of classes", item) for item in classes)
        tensors = Tensors(self.input)
        for layer in self.layers:
            if not isinstance(layer, Layer):
                *most, last = (cls.__name__ for cls in LAYER_CLASSES.values())
                raise InputError(
                    f"{where}: each of layers must be a {', '.join(most)} or {last},"
                    f" not {one_line(layer)}"
                )
            tensors.define(layer)
        set_fields(
            self,
            seed=seed,
            layers=tuple(self.layers),
            classes=classes,
            shapes=tensors.shapes,
            types=tensors.types,
        )

    def prefix(self, layer_name):
        """Return the network up to and with one layer, whose output becomes the result.

        Parameters
        ----------
        layer_name : str
            Name of the layer.

        Returns
        -------
        Network
            Without `classes`, unless the layer is the last one.

        Raises
        ------
        InputError
            There is no such layer.
        """
        names = [layer.name for layer in self.layers]
        if layer_name not in names:
            raise InputError(
                f"network {one_line(self.name)}: layer must be one of {listing(names)},"
                f" not {one_line(layer_name)}"
            )
        count = names.index(layer_name) + 1
        return Network(
            name=self.name,
            seed=self.seed,
            input=self.input,
            layers=self.layers[:count],
            classes=self.classes if count == len(names) else None,
        )

    @classmethod
    def load(cls, path):
        """Read a network file.

        Parameters
        ----------
        path : path-like
            A safetensors file, version 1 or 2 of the network format.

        Returns
        -------
        Network

        Raises
        ------
        InputError
            The file cannot be read or breaks a rule of the format.
        """
        try:
            return cls(**network_file.read(path))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def save(self, path):
        """Write a network file that `load` reads back to an equal network.

        The file is of version 1 when nothing of version 2 is used. Equal masks are written once.

        Parameters
        ----------
        path : path-like
            An existing file is replaced.

        Raises
        ------
        InputError
            The file cannot be written.
        """
        network_file.write(self, path)
