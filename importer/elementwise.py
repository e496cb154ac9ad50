"""Functions of single numbers: what the model does to each activation by itself.

They all increase, decrease or stay in each channel, in real numbers and in float32 alike, so that
a few of their values tell all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.importer.model import Node


@dataclass(frozen=True, kw_only=True)
class Step:
    """A monotonic function of each channel.

    Attributes
    ----------
    node : Node
        The node that it is of.
    function : callable
        Maps a float array (C, K) to one of its type.
    direction : int array, (C,)
        1 where it increases, -1 where it decreases, 0 where it is constant.
    affine : bool
        Whether it is a factor and an offset.
    levels : float64 array, (C, K), optional
        All values of a quantiser of at most 8 bits.
    """

    node: Node
    function: Callable[[np.ndarray], np.ndarray]
    direction: np.ndarray
    affine: bool = False
    levels: np.ndarray | None = None

    @property
    def where(self):
        """How messages name its node."""
        return self.node.where


def scaled(node, factor):
    """Return the multiplication by a factor of each channel, (C, 1)."""
    return Step(
        node=node,
        function=lambda x: x * factor,
        direction=_sign(factor),
        affine=True,
    )


def divided(node, divisor):
    """Return the division by a number of each channel, (C, 1)."""
    if (divisor == 0).any():
        channel = int((divisor == 0).any(1).argmax())
        raise InputError(f"{node.where}: divisor must not be 0, as in channel {channel}")
    return Step(
        node=node,
        function=lambda x: x / divisor,
        direction=_sign(divisor),
        affine=True,
    )


def shifted(node, offset, *, negated=False):
    """Return the addition of an offset of each channel, (C, 1): x + offset, or offset - x."""
    direction = np.full(len(offset), -1 if negated else 1)
    return Step(
        node=node,
        function=(lambda x: offset - x) if negated else (lambda x: x + offset),
        direction=direction,
        affine=True,
    )


def normalised(node, scale, bias, mean, variance, epsilon):
    """Return a batch normalisation, with the numbers of each channel, (C, 1).

    Factor and offset are computed first, in the type of what is normalised, as in onnxruntime.
    """
    if (variance + np.float32(epsilon) <= 0).any():
        channel = int((variance + np.float32(epsilon) <= 0).any(1).argmax())
        raise InputError(
            f"{node.where}: variance and epsilon must be greater than 0 together, not"
            f" {variance[channel, 0] + epsilon:.6g} as in channel {channel}"
        )

    def function(x):
        parts = [part.astype(x.dtype) for part in (scale, bias, mean, variance)]
        factor = parts[0] / np.sqrt(parts[3] + x.dtype.type(epsilon))
        return x * factor + (parts[1] - parts[2] * factor)

    return Step(node=node, function=function, direction=_sign(scale), affine=True)


def clipped(node, channels, low, high):
    """Return the clip to a range, an end of which may be infinite."""
    return Step(
        node=node,
        function=lambda x: np.clip(x, x.dtype.type(low), x.dtype.type(high)),
        direction=np.ones(channels, int),
    )


def leaky(node, slope):
    """Return x where it is positive and x times a slope of each channel, (C, 1), elsewhere."""
    if (slope < 0).any():
        channel = int((slope < 0).any(1).argmax())
        raise InputError(
            f"{node.where}: slope must not be negative, not {slope[channel, 0]:.6g} as in channel"
            f" {channel}"
        )
    return Step(
        node=node,
        function=lambda x: np.where(x < 0, x * slope, x),
        direction=np.ones(len(slope), int),
    )


def _sign(factor):
    return np.sign(factor[:, 0]).astype(int)
