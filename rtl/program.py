"""What the program stream is made of; shared by the engine and the compiler.

A program is a sequence of packets of ``program_bits`` wide words, least significant byte first::

    header      magic, fingerprint of the configuration                               CRC-32
    layer       opcode LAYER, layer descriptor                                        CRC-32
    conv layer  opcode CONV, key, construction descriptor, layer descriptor           CRC-32
      tile      opcode TILE, one channel record per output channel of the tile, mask  CRC-32
      ...       (the last tile's opcode is LAST_TILE)
    end         opcode END                                                            CRC-32

Every item starts on a fresh word. The last word of the end packet carries the stream's ``last``.
The CRC-32 (that of zlib) covers every byte of its packet and of all packets before it, without
their CRCs: none can be missing. Nothing that a packet brings is used before its CRC has been found
right, so that a damaged program never gives a wrong result. The key (32 bits) is that of output
channel 0 (see the weight signs' specification).

The mask words of a tile go to the constructor's lanes in turns; a lane that has what it needs is
left out (see `hiddenite.rtl.mask_expander`).
"""

import enum

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import ceil_log2

from .configuration import Configuration

__all__ = [
    "MAGIC",
    "Axis",
    "ChannelRecord",
    "ConstructionDescriptor",
    "ErrorCode",
    "LayerDescriptor",
    "Opcode",
    "Operation",
    "WindowAxis",
    "words_of",
]

MAGIC = int.from_bytes(b"HDNT", "little")


class Opcode(enum.IntEnum):
    """First word of a packet."""

    LAYER = 1
    CONV = 2
    TILE = 3
    END = 4
    LAST_TILE = 5


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
    """A stream that had begun brought nothing for ``timeout_cycles``."""
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


class Axis(data.StructLayout):
    """How a tensor lies along one axis, for a walk pixel by pixel.

    A tensor that a layer of stride s reads is stored as s planes: position p is in plane p mod s
    at q = p div s, and q lies in bank q mod B at row q div B of that bank.

    Members
    -------
    phases_last : s - 1
    plane_step : address from a plane to the next
    plane_wrap : address from the last plane back to the first
    row_step : address from a row of banks to the next
    """

    def __init__(self, c: Configuration, extra: dict | None = None):
        n, a = c.coordinate_bits, c.address_bits
        super().__init__(
            {
                "phases_last": n,
                "plane_step": a,
                "plane_wrap": a,
                "row_step": a,
            }
            | (extra or {})
        )


class WindowAxis(Axis):
    """How a layer's window moves along one axis of its input.

    Members
    -------
    phase, bank, address, position : where the first tile's first tap is; position counts in q
    limit : number of q inside the map, in the planes up to ``limit_phase``; one less in the others
    kernel_last : kernel size - 1
    tiles_last : number of pixel tiles - 1
    """

    def __init__(self, c: Configuration, banks: int):
        n, a = c.coordinate_bits, c.address_bits
        super().__init__(
            c,
            {
                "phase": n,
                "bank": ceil_log2(banks),
                "address": a,
                "position": n,
                "limit": n,
                "limit_phase": n,
                "kernel_last": n,
                "tiles_last": n,
            },
        )


class LayerDescriptor(data.StructLayout):
    """What the array, the post-processor and the store need to know of a layer.

    Members
    -------
    operation : `Operation`
    to_result, signed, residual : to the result stream; int32 instead of uint8; adds a residual
    tiles_last : tiles of output channels - 1
    groups_last : words of ``ich`` input channels per pixel - 1
    tile_words : weight words per output channel, KH * KW * groups
    window_y, window_x : `WindowAxis`
    shift : shift - 1 (0 for maximum pooling)
    residual_scale : of the residual, or of a pool (2 for maximum pooling, which makes up for the
        shift)
    residual_address, residual_y, residual_x : first word of the residual, steps from tile to tile
    store_y, store_x : `Axis` of the output, with ``size_last``, its height or width - 1
    store_address : first word of the output
    chunks_last : beats of ``post_lanes`` channels per output pixel - 1
    lanes_last : channels in the last of them - 1
    """

    def __init__(self, c: Configuration):
        n, a = c.coordinate_bits, c.address_bits
        store = Axis(c, {"size_last": n})
        super().__init__(
            {
                "operation": 2,
                "to_result": 1,
                "signed": 1,
                "residual": 1,
                "tiles_last": 16,
                "groups_last": a,
                "tile_words": ceil_log2(c.tile_words) + 1,
                "window_y": WindowAxis(c, c.rows),
                "window_x": WindowAxis(c, c.cols),
                "shift": 5,
                "residual_scale": 24,
                "residual_address": a,
                "residual_y": a,
                "residual_x": a,
                "store_y": store,
                "store_x": store,
                "store_address": a,
                "chunks_last": 16,
                "lanes_last": ceil_log2(c.post_lanes),
            }
        )


class ConstructionDescriptor(data.StructLayout):
    """What the model constructor needs to know of a layer.

    Members
    -------
    parameter : parameter k of the mask code
    rows_last : KH - 1
    segments_last : KW - 1
    words_last : words of ``ich`` weights per (ky, kx), - 1
    tail_last : weights in the last of them, - 1
    tile_words : words of a tile per output channel
    channels_last : output channels of the last tile - 1
    """

    def __init__(self, c: Configuration):
        t = ceil_log2(c.tile_words)
        super().__init__(
            {
                "parameter": 4,
                "rows_last": t,
                "segments_last": t,
                "words_last": t,
                "tail_last": ceil_log2(c.ich),
                "tile_words": t + 1,
                "channels_last": ceil_log2(c.och),
            }
        )


class ChannelRecord(data.StructLayout):
    """What the post-processor needs to know of an output channel.

    Members
    -------
    bias : less 255 for each kept negative weight (see `hiddenite.rtl.pe_array`)
    scale
    """

    def __init__(self, c: Configuration):
        super().__init__({"bias": signed(c.bias_bits), "scale": signed(16)})
