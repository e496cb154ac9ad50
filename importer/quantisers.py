"""Quantisers of QONNX: functions that give a few levels.

Each is computed as QONNX's own executor computes it (`qonnx.custom_op.general`), in the type of
what it is given.
"""

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.importer.elementwise import Step

MAX_BITS = 8
"""The most bits of an activation."""

ROUNDINGS = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.fix,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}
"""Rounding modes by their names."""


def check_scale(where, scale):
    """Raise `InputError` unless all scales are greater than 0."""
    if not (scale > 0).all():
        value = float(scale[~(scale > 0)].reshape(-1)[0])
        raise InputError(f"{where}: scale must be greater than 0, not {one_line(value)}")


def int_range(node, bits):
    """Return the least and the largest integer of a ``Quant`` node of so many bits."""
    signed, narrow = node.integer("signed", 1), node.integer("narrow", 1)
    for name, value in (("signed", signed), ("narrow", narrow)):
        if value not in (0, 1):
            raise InputError(f"{node.where}: {name} must be 0 or 1, not {value}")
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - narrow


def bit_width(node, constant):
    """Return the number of bits of a ``Quant`` node, which must be a whole number."""
    if constant.size != 1 or not 1 <= float(constant.reshape(-1)[0]) <= 64:
        raise InputError(
            f"{node.where}: bit width must be one number from 1 to 64, not"
            f" {one_line(constant.reshape(-1)[:4].tolist())}"
        )
    bits = float(constant.reshape(-1)[0])
    if bits != int(bits):
        raise InputError(f"{node.where}: bit width must be whole, not {bits:g}")
    return int(bits)


def rounding(node):
    """Return the rounding of a ``Quant`` node."""
    mode = node.text("rounding_mode", "ROUND").upper()
    if mode not in ROUNDINGS:
        raise InputError(
            f"{node.where}: rounding_mode must be one of {', '.join(ROUNDINGS)}, not"
            f" {one_line(mode)}"
        )
    return ROUNDINGS[mode]


def quantised(node, x, scale, zero, bits):
    """Return what a ``Quant`` node makes of an array; scale and zero point broadcast over it."""
    low, high = int_range(node, bits)
    codes = x / scale + zero
    if bits == 1 and node.integer("signed", 1):
        codes = np.where(codes >= 0, x.dtype.type(1), x.dtype.type(-1))
    else:
        codes = np.where(codes > high, x.dtype.type(high), codes)
        codes = np.where(codes < low, x.dtype.type(low), codes)
        codes = rounding(node)(codes)
    return (codes - zero) * scale


def bipolar(x, scale):
    """Return what a ``BipolarQuant`` node makes of an array."""
    return np.where(x >= 0, x.dtype.type(1), x.dtype.type(-1)) * scale


def quant_step(node, scale, zero, bits):
    """Return a ``Quant`` node as a function; scale and zero point are of each channel, (C, 1)."""
    check_scale(node.where, scale)
    rounding(node)
    levels = None
    if bits <= MAX_BITS:
        low, high = int_range(node, bits)
        codes = np.arange(low, high + 1)
        if bits == 1 and node.integer("signed", 1):
            codes = np.array([-1, 1])
        levels = (codes[None] - zero.astype(float)) * scale.astype(float)
    return Step(
        node=node,
        function=lambda x: quantised(node, x, scale, zero, bits),
        direction=np.ones(len(scale), int),
        levels=levels,
    )


def bipolar_step(node, scale):
    """Return a ``BipolarQuant`` node as a function; the scale is of each channel, (C, 1)."""
    check_scale(node.where, scale)
    return Step(
        node=node,
        function=lambda x: bipolar(x, scale),
        direction=np.ones(len(scale), int),
        levels=np.array([-1.0, 1.0]) * scale.astype(float),
    )


def sign_step(node, channels):
    """Return the sign: -1, 0 or 1."""
    return Step(
        node=node,
        function=np.sign,
        direction=np.ones(channels, int),
        levels=np.tile([-1.0, 0.0, 1.0], (channels, 1)),
    )


def threshold_step(node, thresholds):
    """Return a ``MultiThreshold`` node: how many thresholds a number reaches, scaled.

    Parameters
    ----------
    node : Node
        With `out_scale` and `out_bias`.
    thresholds : float32 array, (C, K)
        Of each channel.
    """
    scale, bias = node.number("out_scale", 1.0), node.number("out_bias", 0.0)
    count = thresholds.shape[1]
    if not 1 <= count <= 2**MAX_BITS - 1:
        raise InputError(
            f"{node.where}: thresholds must be 1 to {2**MAX_BITS - 1} a channel, not {count}"
        )
    ordered = np.sort(thresholds, 1)

    def function(x):
        reached = np.zeros(x.shape, x.dtype)
        for threshold in ordered.T:
            reached += x >= threshold[:, None]
        return x.dtype.type(scale) * reached + x.dtype.type(bias)

    return Step(
        node=node,
        function=function,
        direction=np.full(len(thresholds), int(np.sign(scale))),
        levels=np.tile(np.arange(count + 1) * scale + bias, (len(thresholds), 1)),
    )
