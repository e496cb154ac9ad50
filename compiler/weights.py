"""What a layer's constructor and post-processor get: masks, signs and channel records.

A pool is a conv of 1x1 that each channel has with itself at every tap; see `hiddenite.rtl.program`.
"""

from dataclasses import dataclass

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.golden.weights import channel_key, signs
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program import ChannelRecord, Operation, words_of

from .schedule import Stage

__all__ = ["Weights", "weights_of"]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of a stage and what becomes of their sums.

    Attributes
    ----------
    key : int
        Of output channel 0.
    mask : numpy.ndarray of bool
        What is constructed, O x KH x KW x C.
    bias, scale : numpy.ndarray of int64
        Of each output channel; the bias less 255 for each addition of a negative weight, which the
        PEs count too much (see `hiddenite.rtl.dot_product`).
    """

    key: int
    mask: np.ndarray
    bias: np.ndarray
    scale: np.ndarray

    def records(self, c: Configuration) -> np.ndarray:
        """`ChannelRecord` of each output channel, channels x words."""
        layout = ChannelRecord(c)
        offset = layout["scale"].offset
        value = (self.bias & ((1 << offset) - 1)) | (self.scale & 0xFFFF) << offset
        count = words_of(layout, c.program_bits)
        assert layout.size <= 63
        shifts = np.arange(count) * c.program_bits
        word = value[:, None] >> shifts if c.program_bits < 64 else value[:, None]
        return (word & ((1 << min(c.program_bits, 63)) - 1)).astype(np.uint64)


def weights_of(stage: Stage, seed: int, c: Configuration) -> Weights:
    """Weights of any stage but the image.

    Raises
    ------
    InputError
        Sums or biases that the engine has too few bits for.
    """
    layer = stage.layer
    if stage.pools:
        index, taps = 0, 1
        channels = min(stage.shape[2], c.unit)
        mask = np.eye(channels, dtype=bool).reshape(channels, 1, 1, channels)
        # The shift is 1 at least: the largest activation comes twice.
        bias, scale = np.zeros(channels, np.int64), np.full(channels, 2)
        if stage.operation is Operation.AVG_POOL:
            taps = stage.kernel[0] * stage.kernel[1]
            scale[:] = layer.scale
    else:
        index, taps, mask = layer.index, 1, layer.mask
        bias, scale = layer.bias.astype(np.int64), layer.scale.astype(np.int64)
    kept = taps * mask.reshape(len(mask), -1).sum(1)
    negative = mask & (signs(seed, index, mask.shape) < 0)
    less = 255 * taps * negative.reshape(len(mask), -1).sum(1)
    if stage.pools:
        scale = np.where(less > 0, -scale, scale)
    _check_sums(stage, kept, bias, less, c)
    key = int(channel_key(seed, index, 0))
    return Weights(key=key, mask=mask, bias=bias - less, scale=scale)


def _check_sums(
    stage: Stage, kept: np.ndarray, bias: np.ndarray, less: np.ndarray, c: Configuration
) -> None:
    """Refuse sums that the array, and biases that the post-processor cannot add.

    ``kept`` is the number of additions of each output channel.
    """
    where = f"layer {stage.name!r}"
    taps = f"the sum of {stage.kernel[0]}x{stage.kernel[1]}"
    bits = (255 * int(kept.max())).bit_length()
    if bits > c.accumulator_bits:
        what = f"{kept.max()} weights kept in output channel {kept.argmax()} need"
        if stage.pools:
            what = f"{taps} needs"
        raise InputError(
            f"{where}: accumulator: {what} {bits} bits, has {c.accumulator_bits}: "
            "raise accumulator_bits"
        )
    # A number of n bits, or the complement of a negative one, needs a bit more with its sign.
    extreme = np.maximum(bias - less + 255 * kept, ~(bias - less))
    channel = int(extreme.argmax())
    bits = int(extreme[channel]).bit_length() + 1
    if bits > c.bias_bits:
        what = f"{bias[channel]} of output channel {channel} and its weights need"
        if stage.pools:
            what = f"{taps} needs"
        raise InputError(f"{where}: bias: {what} {bits} bits, has {c.bias_bits}: raise bias_bits")
