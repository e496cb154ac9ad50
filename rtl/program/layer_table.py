"""A layer's table in the program: its descriptor, and the increments of all its addresses."""

import enum

from amaranth.lib import data
from amaranth.utils import ceil_log2

from ..configuration import Configuration

__all__ = [
    "FAR_SHIFT",
    "INT8_ZERO",
    "SCALE_BITS",
    "Increment",
    "LayerDescriptor",
    "LayerTable",
    "TablePart",
]

FAR_SHIFT = 9
"""What ``far`` of a layer adds to its shift: the two make every shift from 1 to 24."""

SCALE_BITS = 24
"""Bits of a layer's scale."""

INT8_ZERO = 128
"""What the activation memory has for an int8 activation of 0: v is stored as v + 128."""


class LayerDescriptor(data.StructLayout):
    """What the array, the post-processor and the store need to know all through a layer.

    A tensor that a layer of stride s reads is stored as s planes along an axis: position p is in
    plane p mod s at q = p div s, and q lies in bank q mod B at row q div B of that bank. How
    addresses follow from that is in the increments of the `LayerTable`. Along an axis with one bank
    they make any stride, and s is 1.

    Members
    -------
    operation : `hiddenite.rtl.program.packets.Operation`
    to_result, residual : to the result stream; adds a residual
    int8, int32 : type of the outputs, or of the image, if not uint8
    source_int8, residual_int8 : what is read, and what is added, is int8
    shift, far : the network's shift (1 for maximum pooling) is shift + 1, shift being 14 at most,
        and `FAR_SHIFT` more with far
    scale : scale of the residual, or of a pool (2 for maximum pooling, which makes up for the
        shift)
    less_taps : of a pool with source_int8: - numbers that its sums have (1 for maximum pooling),
        each of which is stored as `INT8_ZERO` more, without the sign; otherwise 0
    groups_last : words of ``ich`` input channels that a tile of a conv reads of a pixel - 1
    large_tiles : a tile takes half of the tile buffer or more; 1 for a pool
    tiles_last : tiles of output channels - 1
    beats_last : beats of ``post_lanes`` channels per pixel of the last of them - 1
    lanes_last : channels in the last of these beats - 1
    images_last : images - 1
    tiles_y_last, tiles_x_last : pixel tiles - 1
    window_y, window_x : the input along an axis
    window_y.kernel_last : kernel size - 1
    store_y, store_x : the output along an axis
    store_y.end : last row (column) inside the map of the last pixel tile

    With more banks than one along the axis only:

    window_y.phases_last : s - 1
    window_y.phase, window_y.bank : where the first tap is
    window_y.bank_step : banks from a tap to the next, behind the last plane; the row of banks is
        another one besides where they go past the last bank
    window_y.row_step : address from a row of banks to the next
    store_y.phases_last : s - 1
    store_y.first_only : only the first plane is read: the others are dropped
    """

    def __init__(self, c: Configuration):
        phase = ceil_log2(c.largest_stride)

        def window(banks):
            fields = {"kernel_last": ceil_log2(c.largest_kernel)}
            if banks > 1:
                fields |= {"phases_last": phase, "phase": phase}
                fields |= {"bank": ceil_log2(banks), "bank_step": ceil_log2(banks)}
                fields["row_step"] = c.address_bits
            return data.StructLayout(fields)

        def store(banks):
            fields = {"end": ceil_log2(banks)}
            return data.StructLayout(
                fields | ({"phases_last": phase, "first_only": 1} if banks > 1 else {})
            )

        super().__init__(
            {
                "operation": 2,
                "to_result": 1,
                "residual": 1,
                "int8": 1,
                "int32": 1,
                "source_int8": 1,
                "residual_int8": 1,
                "shift": 4,
                "far": 1,
                "scale": SCALE_BITS,
                "less_taps": 2 * ceil_log2(c.largest_kernel),
                "groups_last": c.group_bits,
                "large_tiles": 1,
                "tiles_last": c.channel_tile_bits,
                "beats_last": ceil_log2(c.och // c.post_lanes),
                "lanes_last": ceil_log2(c.post_lanes),
                "images_last": ceil_log2(c.largest_batch),
                "tiles_y_last": ceil_log2(c.largest_map),
                "tiles_x_last": ceil_log2(c.largest_map),
                "window_y": window(c.rows),
                "window_x": window(c.cols),
                "store_y": store(c.rows),
                "store_x": store(c.cols),
            }
        )


class Increment(data.StructLayout):
    """What is added to the window's place from a step to the next.

    Members
    -------
    address : of the window's first pixel
    y, x : of that pixel in the map
    """

    def __init__(self, c: Configuration):
        n = c.position_bits
        super().__init__({"address": c.address_bits, "y": n, "x": n})


class TablePart(enum.IntFlag):
    """Rows of a layer's table that only some layers need; its opcode says which are there."""

    PLANES = 16
    """Input or output have several planes along an axis with more banks than one."""
    PIXEL_TILES = 32
    """There are several pixel tiles; none of the image."""
    IMAGES = 64
    """There are several images."""
    TILES = 128
    """There are several tiles of output channels; none of the image."""


class LayerTable:
    """Rows of a layer's item in the program, as they lie in the layer memory.

    A row has two parts: the increment of an address, which is that of the output or that of the
    residual, in the lowest bits; and above it an `Increment` of the window or a part of the
    `LayerDescriptor`. Every address is kept by additions of what the table says for the loop that
    goes on. A pixel of the output has the words of a tile of output channels, or where the layer
    has one tile only, those up to its last channel.

    =================== =============================== =======================================
    row                 window                          output or residual
    =================== =============================== =======================================
    0, 1, ...           descriptor, lowest bits first   output: ``other`` has which
    next                address: to the next word; y,   of the output, or of the residual
                        x: less the size of the map,
                        which a next word leaves alone
    x_wrap, x_row       to the next tap in a row: in    output: to the next pixel in a row,
                        another bank; in another row    likewise
                        of banks besides
    y_wrap, y_row       to the next row of taps,        output: from the end of a row to the
                        likewise                        next
    start               to the first tap                residual: to the first word
    x_step, y_step      (PLANES) to the next tap and    output: to the next pixel and row,
                        row of taps, in the next plane  likewise
    tile_x, tile_y      (PIXEL_TILES) to the next       residual: likewise
                        pixel tile in a row; to the
                        next row of them
    image               (IMAGES) to the next image      residual: likewise
    map, map_word       (TILES) to the next tile of     residual: likewise
                        output channels; that begins a
                        word
    =================== =============================== =======================================

    ``x_wrap``, ``x_step``, ``y_wrap`` and ``y_step`` exist with more banks than one along the axis,
    ``map_word`` with ``och < ich``, ``image`` with a ``largest_batch`` of more than one. ``other``
    has the output's rows ``start``, with more rows than one ``row_step`` and ``row_wrap``, to the
    next row of a pixel tile, and ``map``, ``map_word`` and ``image``; those for which there is no
    row of the descriptor have one of their own at the end of their part.

    Attributes
    ----------
    rows : dict
        Row of each name.
    other : dict
        Row of each name, of the output.
    descriptor_rows : int
    always : int
        Rows at the beginning that every layer has.
    parts : dict
        Rows of each `TablePart` that a layer may have, a range, in the order of the item.
    columns : int
        Program words per row.
    descriptor_bits : int
        Bits of the descriptor per row.
    store_columns, store_bits : int
        Columns that have the increments of the output; bits that are kept of them.
    depth : int
        Rows, rounded up to a power of two.
    """

    def __init__(self, c: Configuration):
        self.columns = -(-(c.address_bits + Increment(c).size) // c.program_bits)
        self.store_columns = -(-c.address_bits // c.program_bits)
        one = self.store_columns == 1
        self.store_bits = c.address_bits if one else self.store_columns * c.program_bits

        maps = ["map", *["map_word"] * (c.ich > c.och)]
        images = ["image"] * (c.largest_batch > 1)
        other = ["start", *["row_step", "row_wrap"] * (c.rows > 1)]
        size = LayerDescriptor(c).size
        most = self.columns * c.program_bits - c.address_bits
        self.descriptor_rows = max(-(-size // most), len(other))
        # As few as the rows allow: each of them is a register in every row.
        self.descriptor_bits = -(-size // self.descriptor_rows)
        beside = self.descriptor_rows - len(other)
        apart = [*maps, *images][beside:]
        other += [*maps, *images][:beside]
        self.other = {name: row for row, name in enumerate(other)}

        names = [
            "next",
            *(*["x_wrap"] * (c.cols > 1), "x_row"),
            *(*["y_wrap"] * (c.rows > 1), "y_row"),
            "start",
        ]
        self.always = count = self.descriptor_rows + len(names)
        self.rows = {name: self.descriptor_rows + i for i, name in enumerate(names)}
        self.parts = {}
        for part, names in (
            (TablePart.PLANES, [*["x_step"] * (c.cols > 1), *["y_step"] * (c.rows > 1)]),
            (TablePart.PIXEL_TILES, ["tile_x", "tile_y"]),
            (TablePart.IMAGES, images),
            (TablePart.TILES, maps),
        ):
            first = count
            for name in names:
                self.rows[name] = count
                count += 1
            for name in names:
                if name in apart:
                    self.other[name] = count
                    count += 1
            if names:
                self.parts[part] = range(first, count)
        shared = {name: row for name, row in self.rows.items() if name[:2] in ("ne", "x_", "y_")}
        self.other |= shared
        self.depth = 1 << ceil_log2(count)

    def rows_of(self, parts: TablePart) -> list[int]:
        """Rows of a layer with these parts, in the order of its item."""
        own = [row for part, rows in self.parts.items() if part in parts for row in rows]
        return [*range(self.always), *own]
