"""Turns a model into a network, node by node."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Input, Network
from hiddenite.importer import constants, operators
from hiddenite.importer.builder import Builder
from hiddenite.importer.model import Node, read_model
from hiddenite.importer.result import Result, finish
from hiddenite.importer.storing import Way, store
from hiddenite.importer.values import FLAT, LINES, MAPS, Stored, Sum, Value

MAX_PIXELS = 2**24
"""The most numbers of an image."""

_NHWC = (("N",), ("H",), ("W",), ("C",))


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A network and how it was made.

    Attributes
    ----------
    network : Network
        The network, of version 2.
    ways : tuple of Way
        How quantised values were made, in order.
    tensors : dict of str to Value
        Tensors of the model, by their names, that are tensors of the network: all with a stored
        source and no chain.
    result : Result
        What the network's integers are to the model's result.
    image_range : (float, float)
        What the bytes 0 and 255 stand for.
    host : tuple of Node
        Nodes at the end that are left to the host.
    unused : tuple of Node
        Nodes that the result does not depend on.
    """

    network: Network
    ways: tuple[Way, ...]
    tensors: dict[str, Value]
    result: Result
    image_range: tuple[float, float]
    host: tuple[Node, ...]
    unused: tuple[Node, ...]


def convert(
    path,
    *,
    image_range: tuple[float, float] = (0.0, 1.0),
    name: str | None = None,
    classes: Sequence[str] | None = None,
) -> Imported:
    """Turn an ONNX model into a network that computes the same.

    Each quantised activation of the network is the model's for every image of bytes. The last
    layer's integers have the order of the model's results.

    Parameters
    ----------
    path : path-like
        The model. Its input is of float32, the byte b standing for
        low + b / 255 * (high - low), rounded to float32.
    image_range : (float, float)
        (low, high).
    name : str, optional
        Name of the network; the default is that of the graph.
    classes : sequence of str, optional
        Names of the result's channels.

    Returns
    -------
    Imported

    Raises
    ------
    InputError
        The file is no model that is known, or something in it cannot be done exactly; the message
        names the node.
    """
    try:
        return _Conversion(read_model(path), image_range).run(name, classes)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


class _Conversion:
    def __init__(self, graph, image_range):
        low, high = image_range
        if not (np.isfinite([low, high]).all() and low < high):
            raise InputError(f"image range must be finite and increase, not {low:g} to {high:g}")
        self.graph = graph
        self.image_range = (low, high)
        shape, axes = _image(graph)
        # A name of its own: layers are named after nodes, and the image is never one of them.
        image = Input(name="image", height=shape[0], width=shape[1], channels=shape[2])
        self.builder = Builder(image)
        self.ways: list[Way] = []
        self.made: dict[str, Value] = {}
        self.host: dict[str, Node] = {}
        unit = (high - low) / 255
        stored = Stored(
            name=image.name,
            type=image.type,
            shape=shape,
            low=np.zeros(shape[2], np.int64),
            high=np.full(shape[2], 255),
            unit=unit,
            zero=_zero(low, high),
        )
        self.tensors: dict[str, Value | np.ndarray] = {
            **graph.constants,
            graph.input: Value(source=stored, shape=shape, axes=axes),
        }

    def run(self, name, classes):
        graph = self.graph
        for node in graph.nodes:
            self._compute(node)
        value = self.tensors[graph.output]
        where = f"output {one_line(graph.output)}"
        if not isinstance(value, Value):
            raise InputError(f"{where}: must depend on the image, not be a constant")
        last = next(
            node for node in reversed(graph.nodes) if node.op not in operators.HOST or node.custom
        )
        result, way = finish(self.builder, where, value, last.name)
        ways = [*self.ways] if way is None else [*self.ways, way]
        return Imported(
            network=self.builder.network(name or graph.name or "network", classes),
            ways=tuple(way for way in ways if way.layers),
            tensors=self.made,
            result=result,
            image_range=self.image_range,
            host=tuple({id(node): node for node in self.host.values()}.values()),
            unused=graph.unused,
        )

    def _compute(self, node):
        read = Reader(self, node)
        for name in node.inputs:
            if name in self.host and node.op not in operators.HOST:
                raise InputError(
                    f"{self.host[name].where}: must be at the end, not before {node.where}"
                )
        if node.op == "Shape" and not node.custom and read.is_value(0):
            self.tensors[node.outputs[0]] = _shape_of(node, read.value(0))
            return
        values = any(read.is_value(number) for number in range(len(node.inputs)))
        if not values and not node.custom and node.op in constants.FOLDED:
            arrays = [
                read.constant(number) if read.has(number) else None
                for number in range(len(node.inputs))
            ]
            self.tensors[node.outputs[0]] = constants.fold(node, arrays, self.graph.opset)
            return
        known = operators.CUSTOM if node.custom else {**operators.STANDARD, **operators.HOST}
        if node.op not in known:
            raise InputError(f"{node.where}: operator is not known")
        node.check_attributes(*known[node.op].attributes)
        computed = known[node.op].compute(read)
        for output in node.outputs:
            self.tensors[output] = computed
            if node.op in operators.HOST and not node.custom:
                self.host[output] = node

    def stored(self, node, name, average):
        """Return a tensor of the model as one of the network."""
        value = self.tensors[name]
        assert isinstance(value, Value), "the reader has looked"
        if average and (whole := _average_of(value)) is not None:
            return whole
        stored, way = store(self.builder, node.where, value)
        self.ways.append(way)
        made = replace(value, source=stored, chain=(), moves=())
        self.made[name] = self.tensors[name] = made
        return stored


class Reader:
    """A node's inputs, as its operator asks for them.

    Attributes
    ----------
    node : Node
        The node.
    builder : Builder
        Gets layers.
    opset : int
        Version of the operators.
    """

    def __init__(self, conversion, node):
        self._conversion = conversion
        self.node = node
        self.builder = conversion.builder
        self.opset = conversion.graph.opset

    def has(self, number):
        """Return whether an input is given."""
        return number < len(self.node.inputs) and bool(self.node.inputs[number])

    def is_value(self, number):
        """Return whether an input depends on the image."""
        return self.has(number) and isinstance(self._tensor(number), Value)

    def value(self, number):
        """Return an input that depends on the image."""
        tensor = self._tensor(number)
        if not isinstance(tensor, Value):
            raise InputError(
                f"{self.node.where}: input {number} must depend on the image, not be a constant"
            )
        return tensor

    def constant(self, number):
        """Return an input that is a constant."""
        tensor = self._tensor(number)
        if isinstance(tensor, Value):
            raise InputError(f"{self.node.where}: input {number} must be a constant")
        return tensor

    def integers(self, number):
        """Return an input that is a short list of constant integers."""
        array = self.constant(number)
        if array.dtype.kind not in "iu" or array.ndim > 1 or array.size > 64:
            raise InputError(
                f"{self.node.where}: input {number} must be a list of integers, not"
                f" {array.dtype} of shape {array.shape}"
            )
        return [int(value) for value in array.reshape(-1)]

    def stored(self, number, *, average=False):
        """Return an input as a tensor of the network.

        Layers are added if it is not yet one. With `average`, the average of a whole map may be
        the map itself, whose pixels then all have the same weight.
        """
        self.value(number)
        return self._conversion.stored(self.node, self.node.inputs[number], average)

    def same_shape(self, x, function, *arguments):
        """Return what a function makes of a constant, which must not change its shape."""
        try:
            with np.errstate(all="ignore"):
                made = function(*arguments)
        except ValueError:
            made = None
        if made is None or made.shape != x.shape:
            raise InputError(f"{self.node.where}: constants must fit the shape {x.shape}")
        return made.astype(np.float32)

    def _tensor(self, number):
        if not self.has(number):
            raise InputError(f"{self.node.where}: input {number} must be given")
        return self._conversion.tensors[self.node.inputs[number]]


def _average_of(value):
    """Return the map of which a value is a factor and an offset of the average, or None."""
    source = value.source
    if not isinstance(source, Sum) or not source.average or value.moves:
        return None
    if not all(step.affine for step in value.chain):
        return None
    channels = value.shape[2]
    ends = value.real(np.broadcast_to(np.array([0.0, 2.0**20]), (channels, 2)))
    slopes, offset = (ends[:, 1] - ends[:, 0]) / 2**20, ends[:, 0]
    if slopes[0] == 0 or np.ptp(slopes) > 1e-12 * abs(slopes[0]):
        return None
    slope, pixels = float(slopes[0]), source.weights[0].size
    zeros = -offset / slope / pixels
    if np.ptp(zeros) > 1e-9 * max(1, np.abs(zeros).max()):
        return None
    return replace(source.input, unit=slope, zero=float(zeros[0]))


def _zero(low, high):
    zero = -low * 255 / (high - low)
    near = round(2 * zero) / 2
    return near if abs(zero - near) < 1e-9 * max(1, abs(zero)) else zero


def _shape_of(node, value):
    node.check_attributes("start", "end")
    dims = value.dims
    start, end = node.integer("start", 0), node.integer("end", len(dims))
    return np.array(dims[start:end], np.int64)


def _image(graph):
    """Return (height, width, channels) and axes of the image."""
    where = f"input {one_line(graph.input)}"
    dims = graph.dims
    if not 2 <= len(dims) <= 4:
        raise InputError(f"{where}: must have 2 to 4 axes, not {len(dims)}")
    if dims[0] not in (None, 0, 1):
        raise InputError(f"{where}: number of images must be 1 or open, not {dims[0]}")
    sizes = [size or 0 for size in dims[1:]]
    if min(sizes) < 1 or max(sizes) > 65_535 or int(np.prod(sizes, dtype=object)) > MAX_PIXELS:
        raise InputError(
            f"{where}: sizes must be given and hold 1 to {MAX_PIXELS:,} numbers, not"
            f" {one_line(list(dims[1:]))}"
        )
    if len(sizes) == 1:
        return (1, 1, sizes[0]), FLAT
    if len(sizes) == 2:
        return (1, sizes[1], sizes[0]), LINES
    if _channels_last(graph):
        return (sizes[0], sizes[1], sizes[2]), _NHWC
    return (sizes[1], sizes[2], sizes[0]), MAPS


def _channels_last(graph):
    """Return whether the first transpose of the image brings channels to the front."""
    names = {graph.input}
    for node in graph.nodes:
        if names.intersection(node.inputs):
            if node.op == "Transpose":
                return node.attributes.get("perm") in ([0, 3, 1, 2], (0, 3, 1, 2))
            if node.op in operators.ELEMENTWISE:
                names.update(node.outputs)
    return False
