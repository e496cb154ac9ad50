"""The decoders of the mask code, and what compiler and estimate need to know of each."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.lib import wiring

from ..configuration import Configuration
from .dense_code import chunk_bits
from .mask_expander import WINDOW_BITS, MaskExpander
from .serial_expander import SerialMaskExpander
from .timing import ready_latency, step_period

__all__ = ["DECODERS", "MaskDecoder", "decoder_of"]


@dataclass(frozen=True, kw_only=True)
class MaskDecoder:
    """One way to decode a lane's masks.

    Attributes
    ----------
    create : callable
        Component with the members of `expander_signature`, for a configuration.
    lookahead_bits : int
        Bits behind a piece of the code that a lane must have before it decodes the piece. So it
        takes ``(used + lookahead_bits) // program_bits + 1`` words for ``used`` bits.
    begins_words : bool
        Whether the first bit of a `DenseCode` is that of a fresh word; what is left of the word in
        hand is dropped.
    pairs : bool
        Whether a lane may take two pieces in a step (`hiddenite.rtl.masks.mask_expander.is_pair`).
    word_cycles : callable
        Cycles from word to word of a lane that waits for nothing else, for a configuration.
    """

    create: Callable[[Configuration], wiring.Component]
    lookahead_bits: int
    begins_words: bool
    pairs: bool
    word_cycles: Callable[[Configuration], int]


DECODERS: dict[str, MaskDecoder] = {
    "parallel": MaskDecoder(
        create=lambda c: MaskExpander(c.program_bits, chunk_bits(c), step_period(c)),
        lookahead_bits=WINDOW_BITS,
        begins_words=False,
        pairs=True,
        word_cycles=lambda c: c.program_bits // 8 + ready_latency(c),
    ),
    "serial": MaskDecoder(
        create=lambda c: SerialMaskExpander(c.program_bits, chunk_bits(c)),
        lookahead_bits=0,
        begins_words=True,
        pairs=False,
        word_cycles=lambda c: 1,
    ),
}
"""By the name that ``mask_decoder`` of a configuration has."""


def decoder_of(c: Configuration) -> MaskDecoder:
    """The decoder that a configuration chooses."""
    return DECODERS[c.mask_decoder]
