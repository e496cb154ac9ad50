"""What the array's accumulators have at the end of a pixel, for each output channel of a conv."""

from dataclasses import dataclass

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.rtl.array.builds import build_of
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.layer_table import INT8_ZERO

from .stage import Stage
from .weight_signs import negative_weights

__all__ = ["ArraySums", "array_sums"]


@dataclass(frozen=True)
class ArraySums:
    """Bounds of the accumulators, the same for all pixels.

    Attributes
    ----------
    offset : numpy.ndarray
        How much each is above the sum of the signed activations: what the array adds (see
        `hiddenite.rtl.array.builds.ArrayBuild`), and with activations of int8 `INT8_ZERO` for each
        of them, times its weight.
    largest : numpy.ndarray
        The most that each can be.
    """

    offset: np.ndarray
    largest: np.ndarray


def array_sums(seed: int, stage: Stage, c: Configuration) -> ArraySums:
    """Find the accumulators' bounds for a conv.

    Raises
    ------
    InputError
        An accumulator does not hold the sum.
    """
    layer = stage.conv
    negative = negative_weights(layer, stage.weight_seed(seed))
    fill = [(0, 0)] * 3 + [(0, -layer.mask.shape[3] % c.ich)]
    mask, negative = (
        np.pad(bits, fill).reshape(len(bits), -1, c.ich) for bits in (layer.mask, negative)
    )
    offset = build_of(c).offset(mask, negative).sum(1)
    positive = (mask & ~negative).sum((1, 2))
    largest = offset + 255 * positive
    if stage.source_type == "int8":
        offset = offset + INT8_ZERO * (positive - negative.sum((1, 2)))
    channel = int(largest.argmax())
    bits = int(largest[channel]).bit_length()
    if bits > c.accumulator_bits:
        raise InputError(
            f"layer {stage.name!r}: accumulator: {mask[channel].sum()} weights kept in output "
            f"channel {channel} need {bits} bits, has {c.accumulator_bits}: raise accumulator_bits"
        )
    return ArraySums(offset, largest)
