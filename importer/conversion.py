"""Turns a model into a network, node by node."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Input, Network
from hiddenite.importer import constants, operators
from hiddenite.importer.builder import Builder
from hiddenite.importer.image import image_value
from hiddenite.importer.model import Node, read_model
from hiddenite.importer.reader import Reader
from hiddenite.importer.result import Result, finish
from hiddenite.importer.storing import Way, store
from hiddenite.importer.values import Sum, Value

MAX_NUMBERS = 2**28
"""The most numbers of all constants that are computed."""


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
        image = image_value(graph, image_range)
        self.graph = graph
        self.image_range = image_range
        height, width, channels = image.shape
        self.builder = Builder(
            Input(name=image.source.name, height=height, width=width, channels=channels)
        )
        self.ways: list[Way] = []
        self.made: dict[str, Value] = {}
        self.host: dict[str, Node] = {}
        self._numbers = 0
        self.tensors: dict[str, Value | np.ndarray] = {
            **graph.constants,
            graph.input: image,
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
            self._keep(node, constants.fold(node, arrays, self.graph.opset))
            return
        known = operators.CUSTOM if node.custom else {**operators.STANDARD, **operators.HOST}
        if node.op not in known:
            raise InputError(f"{node.where}: operator is not known")
        node.check_attributes(*known[node.op].attributes)
        computed = known[node.op].compute(read)
        if not isinstance(computed, Value):
            self._keep(node, computed)
            return
        for output in node.outputs:
            self.tensors[output] = computed
            if node.op in operators.HOST and not node.custom:
                self.host[output] = node

    def _keep(self, node, constant):
        """Keep a constant that has been computed; many nodes may ask for large ones."""
        self._numbers += constant.size
        if self._numbers > MAX_NUMBERS:
            raise InputError(
                f"{node.where}: constants of all nodes must have at most {MAX_NUMBERS:,} numbers,"
                f" not {self._numbers:,}"
            )
        self.tensors[node.outputs[0]] = constant

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


def _shape_of(node, value):
    node.check_attributes("start", "end")
    dims = value.dims
    start, end = node.integer("start", 0), node.integer("end", len(dims))
    return np.array(dims[start:end], np.int64)
