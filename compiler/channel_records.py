"""Channel records of a program, each tile's as narrow as its biases allow."""

from collections.abc import Iterator

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import (
    NARROW_BIASES,
    NARROW_BITS,
    ChannelRecord,
    has_narrow_records,
)

from .array_sums import ArraySums
from .stage import Stage

__all__ = ["channel_records"]


def channel_records(
    stage: Stage, sums: ArraySums, c: Configuration
) -> Iterator[tuple[bool, np.ndarray]]:
    """Channel records of each tile of a conv: whether they are narrow, and their words (uint64).

    Raises
    ------
    InputError
        A bias, or its sum with an accumulator, needs more than ``bias_bits``.
    """
    biases = _biases(stage, sums, c)
    for first in range(0, len(biases), c.och):
        own = slice(first, first + c.och)
        yield _tile_records(biases[own], stage.conv.scale[own], c)


def _biases(stage: Stage, sums: ArraySums, c: Configuration) -> np.ndarray:
    """Bias of the `ChannelRecord` of each output channel, int64."""
    layer = stage.conv
    bias = layer.bias.astype(np.int64) - sums.offset
    # A number of n bits, or the complement of a negative one, needs a bit more with its sign.
    extreme = np.maximum(bias + sums.largest, ~bias)
    channel = int(extreme.argmax())
    bits = int(extreme[channel]).bit_length() + 1
    if bits > c.bias_bits:
        raise InputError(
            f"layer {stage.name!r}: bias: {int(layer.bias[channel])} of output channel "
            f"{channel} and its weights need {bits} bits, has {c.bias_bits}: raise bias_bits"
        )
    return bias


def _tile_records(bias: np.ndarray, scale: np.ndarray, c: Configuration) -> tuple[bool, np.ndarray]:
    """Channel records of a tile: whether they are narrow, and their words."""
    fits = (bias >= NARROW_BIASES.start) & (bias < NARROW_BIASES.stop)
    narrow = has_narrow_records(c) and bool(fits.all())
    layout = ChannelRecord(c)
    assert layout.size <= 63
    bits = NARROW_BITS if narrow else layout.size
    value = scale.astype(np.int64) & 0xFFFF | bias << layout["bias"].offset
    value = (value & ((1 << bits) - 1)).astype(np.uint64)
    if narrow and c.program_bits > NARROW_BITS:
        value = np.append(value, np.zeros(len(value) % 2, np.uint64))
        return narrow, value[::2] | value[1::2] << np.uint64(NARROW_BITS)
    shifts = np.arange(0, bits, c.program_bits, dtype=np.uint64)
    mask = np.uint64((1 << c.program_bits) - 1)
    return narrow, (value[:, None] >> shifts & mask).reshape(-1)
