"""What the program stream is made of; shared by the engine and the compiler.

A program is a sequence of packets of ``program_bits`` wide words, least significant byte first::

    header      magic                                                                 CRC-32
    layer       opcode LAYER, layer table                                             CRC-32
    conv layer  opcode CONV, key, construction descriptor, layer table                CRC-32
      tile      opcode TILE, one channel record per output channel of the tile, mask  CRC-32
      ...       (the last tile's opcode is LAST_TILE)
    end         opcode END                                                            CRC-32

A layer's opcode has the bits of each `hiddenite.rtl.program.layer_table.TablePart` that is in its
table besides, and a tile's opcode has `NARROW` where the channel records are narrow.

Every item starts on a fresh word. The last word of the end packet carries the stream's ``last``.
The CRC-32 (that of zlib) covers every byte of its packet and of all packets before it: none can be
missing. It begins with the fingerprint of the configuration in place of 0: the header's is right
for this configuration only. Each word of a CRC has the lowest bits of the CRC of all words before
it, for which words of CRCs count as zeros. Nothing that a packet brings is used before its CRC has
been found right, so that a damaged program never gives a wrong result. The key (32 bits) is that of
output channel -``constructor_lanes``, which each lane steps to its own channels (see the weight
signs' specification).

Of a layer whose signs are not generated, the key has no meaning.

The mask words of a tile go to the constructor's lanes in turns; a lane that has what it needs is
left out (see `hiddenite.rtl.masks.mask_expander`).
"""

import enum

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import ceil_log2

from hiddenite.golden.rice import RiceCode

from ..configuration import Configuration

__all__ = [
    "MAGIC",
    "NARROW",
    "NARROW_BIASES",
    "NARROW_BITS",
    "OPCODE_WORDS",
    "ChannelRecord",
    "ConstructionDescriptor",
    "ErrorCode",
    "Opcode",
    "Operation",
    "crc_words",
    "has_narrow_records",
    "words_of",
]

MAGIC = int.from_bytes(b"HDNT", "little")

OPCODE_WORDS = 1
"""Program words in front of a packet's items."""

NARROW = 8
"""What the opcode of a tile has besides where its channel records are narrow."""

NARROW_BITS = 32
"""Bits of a narrow channel record: scale, and the low 16 bits of a bias."""

NARROW_BIASES = range(-57344, 8192)
"""Biases of narrow channel records. Most are far below 0, as an array takes the weights of -1 for a
constant that is added to its sums: of these 16 bits, only those that begin with three zeros are not
negative."""


class Opcode(enum.IntEnum):
    """First word of a packet, but for what a layer's table or a tile's records add.

    The lowest bit says that a tile follows; the others are the same for a layer with and without
    tiles, and for a tile and the last one.
    """

    LAYER = 2
    CONV = 3
    LAST_TILE = 4
    TILE = 5
    END = 6


class ErrorCode(enum.IntEnum):
    """Why the engine has stopped (``status.error``)."""

    NONE = 0
    MAGIC = 1
    """The program does not begin like one."""
    CONFIGURATION = 2
    """The program is for an engine of another configuration."""
    OPCODE = 3
    """A packet that cannot stand here."""
    CHECKSUM = 4
    """A packet's CRC is wrong."""
    TRUNCATED = 5
    """The program's ``last`` came before its end."""
    TRAILING = 6
    """The program's end came without ``last``."""
    TIMEOUT = 7
    """A stream that had begun was waited for, and none brought anything for ``timeout_cycles``."""
    IMAGE_SHORT = 8
    """The image's ``last`` came before its last beat."""
    IMAGE_LONG = 9
    """The image's last beat came without ``last``."""


class Operation(enum.IntEnum):
    """What a layer does."""

    LOAD = 0
    """Takes the image from its stream."""
    CONV = 1
    MAX_POOL = 2
    AVG_POOL = 3


def words_of(layout: data.Layout, program_bits: int) -> int:
    """Program words that an item of this layout takes."""
    return -(-layout.size // program_bits)


def crc_words(program_bits: int) -> int:
    """Program words that a number of 32 bits takes: magic, key or CRC."""
    return max(1, 32 // program_bits)


def has_narrow_records(c: Configuration) -> bool:
    """Whether narrow channel records take fewer program words than full ones.

    Words of 64 bits have those of two channels, which two memories of the post-processor take.
    """
    full = words_of(ChannelRecord(c), c.program_bits) * c.program_bits
    return full > NARROW_BITS and (c.program_bits <= NARROW_BITS or c.post_lanes > 1)


class ConstructionDescriptor(data.StructLayout):
    """What the model constructor needs to know of a layer.

    Members
    -------
    parameter : parameter k of the mask code, or `hiddenite.rtl.masks.dense_code.DENSE`
    signed : the mask words have the signs, too, which are generated otherwise
    segments_last : KW - 1
    word_before_last : words of ``ich`` weights per (ky, kx), - 2; -1 where there is one
    tail_last : weights in the last of them, - 1
    tile_words : words of a tile per output channel
    channels_last : output channels of the last tile - 1
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "parameter": ceil_log2(RiceCode.MAX_PARAMETER + 2),
                "signed": 1,
                "segments_last": ceil_log2(c.largest_kernel),
                "word_before_last": c.group_bits,
                "tail_last": ceil_log2(c.ich),
                "tile_words": ceil_log2(c.tile_words),
                "channels_last": ceil_log2(c.och),
            }
        )


class ChannelRecord(data.StructLayout):
    """What the post-processor needs to know of an output channel.

    Narrow records, those of a tile whose biases are all in `NARROW_BIASES`, end after
    `NARROW_BITS`; a word of 64 bits has two of them, the lower channel's in the low half, and the
    last one of a tile with an odd number of channels zeros above.

    Members
    -------
    scale
    bias : less the constant offset of its sums (see `hiddenite.rtl.array.builds.ArrayBuild`)
    """

    def __init__(self, c: Configuration):
        super().__init__({"scale": signed(16), "bias": signed(c.bias_bits)})
