"""The ways to build a dot product, and what the other rooms need to know of each.

A build of one's own is a component with a `DotProductSignature`, and an entry here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Value
from amaranth.lib import wiring

from ..configuration import Technology
from .chain_dot_product import ChainDotProduct
from .dot_product import CombinationalDotProduct, TreeDotProduct, plain_offset
from .flip_dot_product import FlipDotProduct, flip_offset, relative_signs

__all__ = ["BUILDS", "ArrayBuild", "build_of"]


@dataclass(frozen=True, kw_only=True)
class ArrayBuild:
    """One way to build the array.

    Attributes
    ----------
    dot_product : type
        Component; its parameters are ``ich`` and ``accumulator_bits``.
    latency : callable
        Cycles from the first operand of a dot product of ``ich`` inputs to its total.
    offset : callable
        Sum that a dot product makes of a word when all activations are 0, from the masks and from
        which of the kept weights are negative, both (..., ich): the constant that the compiler
        takes off the biases.
    encode_signs : callable, optional
        A word's signs as the dot product takes them; as they are if there is none.
    chained : bool
        Input i is added i cycles after the first one.
    registers_weights : bool
        The dot product has no registers in front of its first addition or behind it, so that the
        tile buffer must give masks and signs from registers that are 0 between steps.
    """

    dot_product: type[wiring.Component]
    latency: Callable[[int], int]
    offset: Callable[[np.ndarray, np.ndarray], np.ndarray]
    encode_signs: Callable[[Value], Value] | None = None
    chained: bool = False
    registers_weights: bool = False


BUILDS: dict[str, ArrayBuild] = {
    "tree": ArrayBuild(
        dot_product=TreeDotProduct,
        latency=TreeDotProduct.latency,
        offset=plain_offset,
    ),
    "flip": ArrayBuild(
        dot_product=FlipDotProduct,
        latency=FlipDotProduct.latency,
        offset=flip_offset,
        encode_signs=relative_signs,
    ),
    "chain": ArrayBuild(
        dot_product=ChainDotProduct,
        latency=ChainDotProduct.latency,
        offset=plain_offset,
        chained=True,
        registers_weights=True,
    ),
    "combinational": ArrayBuild(
        dot_product=CombinationalDotProduct,
        latency=CombinationalDotProduct.latency,
        offset=plain_offset,
        registers_weights=True,
    ),
}
"""By the name that ``array`` of a configuration has."""


def build_of(c: Technology) -> ArrayBuild:
    """The build that a configuration chooses."""
    return BUILDS[c.array]
