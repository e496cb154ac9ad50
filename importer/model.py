"""Reads an ONNX file: its nodes in order, its constants, its input and its output."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper, numpy_helper

from hiddenite.golden.checks import listing, one_line
from hiddenite.golden.errors import InputError

MAX_BYTES = 2**31 - 1
"""The largest file; protobuf takes no larger one."""

MAX_NODES = 10_000
"""The most nodes of a graph."""

MIN_OPSET = 9
"""The oldest operator set that is read."""

QONNX_DOMAINS = (
    *("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"),
    *("qonnx.custom_op.general.quant", "finn"),
)
"""Domains of quantisers; they mean the same in all of them."""

_STANDARD_DOMAINS = ("", "ai.onnx")
_DATA_TYPES = {np.dtype(name) for name in ("float32", "float64", "float16")} | {
    np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)
}


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of the graph.

    Attributes
    ----------
    name : str
        Its name, or that of its output where it has none.
    op : str
        What it computes, such as "Conv".
    custom : bool
        Whether it is of QONNX, not of ONNX itself.
    inputs, outputs : tuple of str
        Names of tensors; an input that is left out is "".
    attributes : dict of str to object
        Values as `onnx.helper.get_attribute_value` gives them.
    """

    name: str
    op: str
    custom: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, object] = field(repr=False)

    @property
    def where(self):
        """How messages name the node."""
        return f"node {one_line(self.name)} ({self.op[:60]})"

    def check_attributes(self, *names):
        """Raise `InputError` if there are other attributes than these."""
        for name in self.attributes:
            if name not in names:
                raise InputError(
                    f"{self.where}: attribute {one_line(name)} is not known"
                    f" ({listing(names) or 'there is none'})"
                )

    def integer(self, name, default):
        """Return an attribute that is an integer."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise InputError(f"{self.where}: {name} must be an integer, not {one_line(value)}")
        return value

    def integers(self, name, default=None):
        """Return an attribute that is a list of integers, as a tuple, or None."""
        value = self.attributes.get(name, default)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(isinstance(v, int) for v in value):
            raise InputError(f"{self.where}: {name} must be integers, not {one_line(value)}")
        return tuple(value)

    def number(self, name, default):
        """Return an attribute that is a finite number."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError(f"{self.where}: {name} must be a finite number, not {one_line(value)}")
        return float(value)

    def text(self, name, default):
        """Return an attribute that is a string."""
        value = self.attributes.get(name, default)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if not isinstance(value, str):
            raise InputError(f"{self.where}: {name} must be a string, not {one_line(value)}")
        return value


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A model.

    Attributes
    ----------
    name : str
        The graph's name, for people.
    nodes : tuple of Node
        Those that the output depends on, in order of execution.
    unused : tuple of Node
        The others.
    constants : dict of str to array
        Initialisers.
    input : str
        Name of the image.
    dims : tuple of (int or None)
        Its shape, the number of images first; None where the file leaves it open.
    output : str
        Name of the result.
    opset : int
        Version of the standard operators.
    """

    name: str
    nodes: tuple[Node, ...]
    unused: tuple[Node, ...]
    constants: dict[str, np.ndarray]
    input: str
    dims: tuple[int | None, ...]
    output: str
    opset: int


def read_model(path):
    """Read an ONNX file.

    Parameters
    ----------
    path : path-like
        The file; tensors may be in other files of its folder.

    Returns
    -------
    Graph

    Raises
    ------
    InputError
        The file cannot be read, or is no model with one input and one output whose nodes are in
        order.
    """
    path = Path(path)
    model = _parse(path)
    graph = model.graph
    opset = _opset(model)
    if not graph.node:
        raise InputError("graph must have nodes, not none: the file is no ONNX model, or cut")
    if len(graph.node) > MAX_NODES:
        raise InputError(f"graph must have at most {MAX_NODES} nodes, not {len(graph.node)}")
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise InputError(f"initializer {one_line(name)}: must be dense, not sparse")
    constants: dict[str, np.ndarray] = {}
    for tensor in graph.initializer:
        if tensor.name in constants:
            raise InputError(f"initializer {one_line(tensor.name)}: must not be defined twice")
        constants[tensor.name] = _array(tensor, path.parent)
    images = [value for value in graph.input if value.name not in constants]
    if len(images) != 1:
        names = listing(value.name for value in images) or "none"
        raise InputError(f"graph must have one input that is no constant, not {names}")
    if len(graph.output) != 1:
        names = listing(value.name for value in graph.output) or "none"
        raise InputError(f"graph must have one output, not {names}")
    (image,), output = images, graph.output[0].name
    nodes = _ordered(graph, {*constants, image.name})
    if output not in {name for node in nodes for name in node.outputs}:
        raise InputError(f"output {one_line(output)}: must be computed by a node")
    needed = {output}
    used: list[Node] = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            used.append(node)
    kept = {id(node) for node in used}
    return Graph(
        name=graph.name,
        nodes=tuple(reversed(used)),
        unused=tuple(node for node in nodes if id(node) not in kept),
        constants=constants,
        input=image.name,
        dims=_dims(image),
        output=output,
        opset=opset,
    )


def _parse(path):
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"file must have at most {MAX_BYTES:,} bytes, not {size:,}")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise InputError("file must be an ONNX model: it is none, or cut") from None
    if model.functions:
        raise InputError(
            f"function {one_line(model.functions[0].name)}: functions of a model are not known"
        )
    return model


def _opset(model):
    for entry in model.opset_import:
        if entry.domain in _STANDARD_DOMAINS:
            if entry.version < MIN_OPSET:
                raise InputError(f"opset must be at least {MIN_OPSET}, not {entry.version}")
            newest = onnx.defs.onnx_opset_version()
            if entry.version > newest:
                raise InputError(f"opset must be at most {newest}, not {entry.version}")
            return entry.version
    raise InputError("opset must be given: the file is no ONNX model, or cut")


def _array(tensor, folder):
    """Return the array of a tensor of the file."""
    where = f"tensor {one_line(tensor.name)}"
    if external_data_helper.uses_external_data(tensor):
        _load_external(where, tensor, folder)
    if any(size < 0 for size in tensor.dims):
        raise InputError(f"{where}: shape must not be negative, not {one_line(list(tensor.dims))}")
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:
        # The helper raises exceptions of many types, whose messages are long.
        raise InputError(
            f"{where}: data must fit its type and shape: {one_line(str(error))}"
        ) from None
    if array.dtype not in _DATA_TYPES and array.dtype != bool:
        raise InputError(f"{where}: type must be a number's, not {array.dtype}")
    return array


def _load_external(where, tensor, folder):
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    root = folder.resolve()
    place = (root / location).resolve()
    if not location or Path(location).is_absolute() or root not in place.parents:
        raise InputError(
            f"{where}: its data must be in the model's folder, not at {one_line(location)}"
        )
    if not place.is_file():
        raise InputError(f"{where}: its data's file {one_line(location)} is missing")
    try:
        external_data_helper.load_external_data_for_tensor(tensor, str(root))
    except Exception as error:
        raise InputError(f"{where}: its data cannot be read: {one_line(str(error))}") from None
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT


def _ordered(graph, defined):
    """Return the nodes, each of which reads what is defined before it."""
    nodes = []
    for proto in graph.node:
        node = _node(proto)
        for name in node.inputs:
            if name and name not in defined:
                raise InputError(
                    f"{node.where}: input {one_line(name)} must be a constant, the graph's input or"
                    " computed by a node before"
                )
        for name in node.outputs:
            if name and name in defined:
                raise InputError(f"{node.where}: output {one_line(name)} must not be defined twice")
            defined.add(name)
        nodes.append(node)
    return nodes


def _node(proto):
    outputs = tuple(proto.output)
    name = proto.name or (outputs[0] if outputs else "")
    where = f"node {one_line(name)} ({proto.op_type[:60]})"
    if proto.domain not in (*_STANDARD_DOMAINS, *QONNX_DOMAINS):
        raise InputError(f"{where}: domain {one_line(proto.domain)} is not known")
    attributes = {}
    for attribute in proto.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = _array(value, Path("/nonexistent"))
        attributes[attribute.name] = value
    return Node(
        name=name,
        op=proto.op_type,
        custom=proto.domain in QONNX_DOMAINS,
        inputs=tuple(proto.input),
        outputs=outputs,
        attributes=attributes,
    )


def _dims(image):
    kind = image.type.tensor_type
    if not kind.HasField("shape"):
        raise InputError(f"input {one_line(image.name)}: shape must be given")
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
