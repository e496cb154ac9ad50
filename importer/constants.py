"""Computes what depends on constants alone, with ONNX's own reference implementation."""

import math

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError

MAX_ELEMENTS = 2**27
"""The most numbers of a constant: a small file may ask for any."""

_BROADCASTING = frozenset(("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max"))

FOLDED = _BROADCASTING | frozenset(
    (
        *("Constant", "ConstantOfShape", "Identity", "Cast", "Shape", "Gather", "Unsqueeze"),
        *("Squeeze", "Concat", "Slice", "Reshape", "Transpose", "Flatten", "Sqrt", "Neg", "Abs"),
        *("Floor", "Ceil", "Round", "Reciprocal", "Sign", "Relu", "Clip"),
    )
)
"""Operators that are computed where all their inputs are constants."""


def fold(node, inputs, opset):
    """Return the output of a node whose inputs are constants.

    Parameters
    ----------
    node : Node
        A standard operator, one of `FOLDED`.
    inputs : list of (array or None)
        Its inputs.
    opset : int
        Version of the operators.

    Returns
    -------
    array

    Raises
    ------
    InputError
        The node cannot be computed, or its output has more than `MAX_ELEMENTS` numbers.
    """
    _check_size(node, inputs)
    attributes = {
        name: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in node.attributes.items()
    }
    try:
        # An empty list has no type of its own.
        proto = onnx.helper.make_node(
            node.op, node.inputs, ["folded"], **{k: v for k, v in attributes.items() if v != []}
        )
        values = {
            name: onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in zip(node.inputs, inputs, strict=True)
            if array is not None
        }
        graph = onnx.helper.make_graph(
            [proto], "fold", list(values.values()), [onnx.ValueInfoProto(name="folded")]
        )
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8
        )
        feeds = {name: array for name, array in zip(node.inputs, inputs, strict=True) if name}
        with np.errstate(all="ignore"):
            (output,) = ReferenceEvaluator(model).run(None, feeds)
        output = np.asarray(output)
    except Exception as error:
        # The evaluator raises whatever NumPy does.
        raise InputError(
            f"{node.where}: its constants must fit it: {one_line(str(error))}"
        ) from None
    if output.size > MAX_ELEMENTS:
        raise _too_large(node, output.size)
    return output


def _check_size(node, inputs):
    arrays = [array for array in inputs if array is not None]
    size = sum(array.size for array in arrays)
    if node.op in _BROADCASTING:
        try:
            size = math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))
        except ValueError:
            return
    elif node.op == "Gather" and len(arrays) == 2:
        size = arrays[0].size * max(1, arrays[1].size)
    elif node.op == "ConstantOfShape" and arrays:
        size = math.prod(abs(int(extent)) for extent in arrays[0].ravel()[:64])
    if size > MAX_ELEMENTS:
        raise _too_large(node, size)


def _too_large(node, size):
    return InputError(
        f"{node.where}: constant must have at most {MAX_ELEMENTS:,} numbers, not {size:,}"
    )
