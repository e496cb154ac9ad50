"""What each operator of the model makes of the values that it reads."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.importer import elementwise, quantisers, shapes, sums, windows
from hiddenite.importer.values import MAPS, check_float


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An operator that is known.

    Attributes
    ----------
    compute : callable
        Takes a `hiddenite.importer.reader.Reader` of a node's inputs, and returns its value.
    attributes : tuple of str
        The attributes that are known.
    """

    compute: Callable
    attributes: tuple[str, ...] = ()


def _multiply(read):
    value, constant, _ = _with_constant(read)
    return value.then(elementwise.scaled(read.node, constant))


def _divide(read):
    value, constant, first = _with_constant(read)
    if not first:
        raise InputError(f"{read.node.where}: must divide by a constant, not a constant by a value")
    return value.then(elementwise.divided(read.node, constant))


def _add(read):
    return _add_signed(read, 1)


def _subtract(read):
    return _add_signed(read, -1)


def _add_signed(read, sign):
    if read.is_value(0) and read.is_value(1):
        one, other = read.value(0), read.value(1)
        if one.axes != other.axes or one.shape != other.shape:
            raise InputError(
                f"{read.node.where}: must add tensors of one shape, not {one.dims} and {other.dims}"
            )
        pairs = [(read.stored(0), 1), (read.stored(1), sign)]
        return sums.added(read.builder, read.node, one, pairs)
    value, constant, first = _with_constant(read)
    if first:
        return value.then(elementwise.shifted(read.node, sign * constant))
    return value.then(elementwise.shifted(read.node, constant, negated=sign < 0))


def _with_constant(read):
    """Return the value and the constant of each channel, and whether the value comes first."""
    first = read.is_value(0)
    if first == read.is_value(1):
        raise InputError(f"{read.node.where}: one of its two inputs must be a constant")
    value = read.value(0 if first else 1)
    constant = value.per_channel(read.node.where, "constant", read.constant(1 if first else 0))
    return value, constant, first


def _negate(read):
    value = read.value(0)
    return value.then(elementwise.scaled(read.node, np.full((value.shape[2], 1), np.float32(-1))))


def _normalise(read):
    node, value = read.node, read.value(0)
    if node.integer("training_mode", 0):
        raise InputError(f"{node.where}: training_mode must be 0, not 1")
    rank = len(value.axes)

    def part(number, name):
        constant = read.constant(number)
        if constant.ndim != 1 or rank < 2:
            raise InputError(
                f"{node.where}: {name} must be one number a channel, not of shape {constant.shape}"
            )
        constant = constant.reshape(-1, *(1,) * (rank - 2))
        return value.per_channel(node.where, name, constant)

    scale, bias, mean, variance = part(1, "scale"), part(2, "B"), part(3, "mean"), part(4, "var")
    epsilon = node.number("epsilon", 1e-5)
    return value.then(elementwise.normalised(node, scale, bias, mean, variance, epsilon))


def _relu(read):
    value = read.value(0)
    return value.then(elementwise.clipped(read.node, value.shape[2], 0, np.inf))


def _clip(read):
    node, value = read.node, read.value(0)
    ends = []
    for number, (name, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        if read.has(number):
            constant = read.constant(number)
            check_float(node.where, name, constant)
            if constant.size != 1:
                raise InputError(f"{node.where}: {name} must be one number")
            ends.append(float(constant.reshape(-1)[0]))
        elif name in node.attributes:
            ends.append(node.number(name, default))
        else:
            ends.append(default)
    if ends[0] > ends[1]:
        raise InputError(f"{node.where}: min must be at most max {ends[1]:g}, not {ends[0]:g}")
    return value.then(elementwise.clipped(node, value.shape[2], *ends))


def _leaky(read):
    value = read.value(0)
    slope = np.full((value.shape[2], 1), np.float32(read.node.number("alpha", 0.01)))
    return value.then(elementwise.leaky(read.node, slope))


def _slopes(read):
    value = read.value(0)
    slope = value.per_channel(read.node.where, "slope", read.constant(1))
    return value.then(elementwise.leaky(read.node, slope))


def _quantise(read):
    node = read.node
    bits = quantisers.bit_width(node, read.constant(3))
    if not read.is_value(0):
        x, scale, zero = (read.constant(number) for number in range(3))
        for name, constant in (("x", x), ("scale", scale), ("zero point", zero)):
            check_float(node.where, name, constant)
        quantisers.check_scale(node.where, scale)
        return read.same_shape(x, quantisers.quantised, node, x, scale, zero, bits)
    value = read.value(0)
    scale = value.per_channel(node.where, "scale", read.constant(1))
    zero = value.per_channel(node.where, "zero point", read.constant(2))
    return value.then(quantisers.quant_step(node, scale, zero, bits))


def _bipolar(read):
    node = read.node
    if not read.is_value(0):
        x, scale = read.constant(0), read.constant(1)
        for name, constant in (("x", x), ("scale", scale)):
            check_float(node.where, name, constant)
        quantisers.check_scale(node.where, scale)
        return read.same_shape(x, quantisers.bipolar, x, scale)
    value = read.value(0)
    scale = value.per_channel(node.where, "scale", read.constant(1))
    return value.then(quantisers.bipolar_step(node, scale))


def _sign(read):
    value = read.value(0)
    return value.then(quantisers.sign_step(read.node, value.shape[2]))


def _thresholds(read):
    node, value, thresholds = read.node, read.value(0), read.constant(1)
    check_float(node.where, "thresholds", thresholds)
    channels = value.shape[2]
    if thresholds.ndim != 2 or thresholds.shape[0] not in (1, channels):
        raise InputError(
            f"{node.where}: thresholds must be {channels} rows or one, not of shape"
            f" {thresholds.shape}"
        )
    layout = node.text("data_layout", "") or ("NC", "NCW", "NCHW")[len(value.axes) - 2]
    if "C" not in layout or layout.index("C") >= len(value.axes):
        raise InputError(f"{node.where}: data_layout {one_line(layout)} must have the axis C")
    axis = value.axes[layout.index("C")]
    if "C" not in axis or value.dims[layout.index("C")] != channels:
        raise InputError(f"{node.where}: data_layout {one_line(layout)} must name the channels")
    rows = np.broadcast_to(thresholds, (channels, thresholds.shape[1])).astype(np.float32)
    return value.then(quantisers.threshold_step(node, rows))


def _conv(read):
    node, stored, weights = read.node, read.stored(0), read.constant(1)
    value = sums.convolved(read.builder, node, read.value(0), stored, weights)
    return _biased(read, value, 2, len(value.axes) - 2)


def _gemm(read):
    node, value, weights = read.node, read.value(0), read.constant(1)
    if len(value.axes) != 2 or weights.ndim != 2:
        raise InputError(f"{node.where}: both factors must be matrices")
    if node.integer("transA", 0):
        raise InputError(f"{node.where}: transA must be 0, not 1")
    if node.integer("transB", 0):
        weights = weights.T
    stored = read.stored(0, average=True)
    value = sums.multiplied(read.builder, node, read.value(0), stored, weights)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if alpha != 1:
        factor = np.full((value.shape[2], 1), np.float32(alpha))
        value = value.then(elementwise.scaled(node, factor))
    return _biased(read, value, 2, 0, beta)


def _matmul(read):
    weights = read.constant(1)
    stored = read.stored(0, average=True)
    return sums.multiplied(read.builder, read.node, read.value(0), stored, weights)


def _biased(read, value, number, trailing, factor=1.0):
    if not read.has(number):
        return value
    bias = read.constant(number)
    if trailing:
        bias = bias.reshape(*bias.shape, *(1,) * trailing)
    bias = value.per_channel(read.node.where, "bias", bias) * np.float32(factor)
    return value.then(elementwise.shifted(read.node, bias))


def _average(read):
    node, value = read.node, read.value(0)
    return windows.average(read.builder, node, value, read.stored(0))


def _global_average(read):
    value = read.value(0)
    if value.axes[:2] != MAPS[:2]:
        raise InputError(f"{read.node.where}: what it reads must have the axes N, C, H, W")
    return sums.averaged(read.builder, read.node, value, read.stored(0), value.shape[:2])


def _max_pool(read):
    return windows.max_pool(read.node, read.value(0))


def _resize(read):
    scales = read.constant(2) if read.has(2) else None
    sizes = read.constant(3) if read.has(3) else None
    return windows.resize(read.node, read.value(0), scales, sizes)


def _upsample(read):
    return windows.resize(read.node, read.value(0), read.constant(1), None)


def _concat(read):
    node = read.node
    values = [read.value(number) for number in range(len(node.inputs))]
    axis = node.integer("axis", 1)
    first = values[0]
    if any(value.axes != first.axes for value in values):
        raise InputError(f"{node.where}: what it joins must have the same axes")
    if not -len(first.axes) <= axis < len(first.axes) or "C" not in first.axes[axis]:
        raise InputError(f"{node.where}: axis must be that of the channels, not {axis}")
    if first.axes[axis] != ("C",) and any(value.shape[:2] != (1, 1) for value in values):
        raise InputError(f"{node.where}: maps that have been flattened cannot be joined")
    stored = [read.stored(number) for number in range(len(node.inputs))]
    return sums.joined(read.builder, node, values, stored)


def _reshape(read):
    value = read.value(0)
    return replace(value, axes=shapes.reshaped(read.node, value, read.integers(1)))


def _flatten(read):
    value = read.value(0)
    return replace(value, axes=shapes.flattened(read.node, value))


def _transpose(read):
    value = read.value(0)
    return replace(value, axes=shapes.transposed(read.node, value))


def _squeeze(read):
    value = read.value(0)
    axes = read.integers(1) if read.has(1) else read.node.integers("axes")
    return replace(value, axes=shapes.squeezed(read.node, value, axes))


def _unsqueeze(read):
    value = read.value(0)
    axes = read.integers(1) if read.has(1) else read.node.integers("axes", ())
    return replace(value, axes=shapes.unsqueezed(read.node, value, axes))


def _identity(read):
    return read.value(0)


def _dropout(read):
    if read.has(2) and np.any(read.constant(2)):
        raise InputError(f"{read.node.where}: training_mode must be false")
    return read.value(0)


def _cast(read):
    if read.node.integer("to", 1) != 1:
        raise InputError(f"{read.node.where}: must be to float32")
    return read.value(0)


def _for_host(read):
    """Return the value as it is: its order among the channels is that of the result."""
    node, value = read.node, read.value(0)
    rank = len(value.axes)
    if node.op != "Sigmoid":
        default = {"ArgMax": 0, "TopK": -1}.get(node.op, 1 if read.opset < 13 else -1)
        axis = node.integer("axis", default)
        if not -rank <= axis < rank or "C" not in value.axes[axis]:
            raise InputError(f"{node.where}: axis must be that of the channels, not {axis}")
    for name, rule in (("select_last_index", 0), ("largest", 1)):
        if node.integer(name, rule) != rule:
            raise InputError(f"{node.where}: {name} must be {rule}")
    return value


_WINDOW = ("kernel_shape", "strides", "pads", "auto_pad", "dilations")

STANDARD = {
    "Add": Operator(compute=_add),
    "AveragePool": Operator(
        compute=_average, attributes=(*_WINDOW, "ceil_mode", "count_include_pad")
    ),
    "BatchNormalization": Operator(
        compute=_normalise, attributes=("epsilon", "momentum", "training_mode")
    ),
    "Cast": Operator(compute=_cast, attributes=("to", "saturate")),
    "Clip": Operator(compute=_clip, attributes=("min", "max")),
    "Concat": Operator(compute=_concat, attributes=("axis",)),
    "Conv": Operator(compute=_conv, attributes=(*_WINDOW, "group")),
    "Div": Operator(compute=_divide),
    "Dropout": Operator(compute=_dropout, attributes=("ratio", "seed")),
    "Flatten": Operator(compute=_flatten, attributes=("axis",)),
    "Gemm": Operator(compute=_gemm, attributes=("alpha", "beta", "transA", "transB")),
    "GlobalAveragePool": Operator(compute=_global_average),
    "Identity": Operator(compute=_identity),
    "LeakyRelu": Operator(compute=_leaky, attributes=("alpha",)),
    "MatMul": Operator(compute=_matmul),
    "MaxPool": Operator(compute=_max_pool, attributes=(*_WINDOW, "ceil_mode", "storage_order")),
    "Mul": Operator(compute=_multiply),
    "Neg": Operator(compute=_negate),
    "PRelu": Operator(compute=_slopes),
    "Relu": Operator(compute=_relu),
    "Reshape": Operator(compute=_reshape, attributes=("allowzero",)),
    "Resize": Operator(
        compute=_resize,
        attributes=(
            *("mode", "coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a"),
            *("exclude_outside", "extrapolation_value"),
        ),
    ),
    "Sign": Operator(compute=_sign),
    "Squeeze": Operator(compute=_squeeze, attributes=("axes",)),
    "Sub": Operator(compute=_subtract),
    "Transpose": Operator(compute=_transpose, attributes=("perm",)),
    "Unsqueeze": Operator(compute=_unsqueeze, attributes=("axes",)),
    "Upsample": Operator(compute=_upsample, attributes=("mode",)),
}
"""Operators of ONNX that are known."""

HOST = {
    "ArgMax": Operator(compute=_for_host, attributes=("axis", "keepdims", "select_last_index")),
    "LogSoftmax": Operator(compute=_for_host, attributes=("axis",)),
    "Sigmoid": Operator(compute=_for_host),
    "Softmax": Operator(compute=_for_host, attributes=("axis",)),
    "TopK": Operator(compute=_for_host, attributes=("axis", "largest", "sorted")),
}
"""Operators that may end a model; they are left to the host, which has the order they keep."""

CUSTOM = {
    "BipolarQuant": Operator(compute=_bipolar),
    "IntQuant": Operator(compute=_quantise, attributes=("signed", "narrow", "rounding_mode")),
    "MultiThreshold": Operator(
        compute=_thresholds, attributes=("out_dtype", "out_scale", "out_bias", "data_layout")
    ),
    "Quant": Operator(compute=_quantise, attributes=("signed", "narrow", "rounding_mode")),
}
"""Operators of QONNX that are known."""

ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Identity", "Quant", "IntQuant", "BipolarQuant", "Cast")
"""Operators before which a transpose tells the layout of the image."""
