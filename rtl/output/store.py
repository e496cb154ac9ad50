"""Where outputs go: into the activation memory or out on the result stream.

::

    post-processor ─┐             ┌─► activation writer ─► activation memory
                    ├─► loops ────┤
    image ──────────┘   addresses └─► result sender ─► result

Outputs come without an address, in the order of the array: for each tile of output channels, for
each image, for each pixel tile, for each pixel of it, ``post_lanes`` channels a beat. The store
counts along; it drops pixels outside the map and channels beyond the last. Images come in the same
way, as if their pixel tiles had one pixel, but in ``y, x, channel`` order.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import ActivationWrite, Outputs, StoreTableRead, packet_stream
from ..program.layer_table import INT8_ZERO, LayerDescriptor, LayerTable
from ..program.packets import ErrorCode, Operation
from .activation_writer import ActivationWriter
from .result_sender import ResultSender
from .store_walk import StoreWalk
from .wide_beats import has_wide_beats, skips_rows

__all__ = ["DONE_LATENCY", "Store"]

DONE_LATENCY = 1
"""Cycles from a layer's last output to ``done``."""


class Store(wiring.Component):
    """Counts outputs and puts each where it belongs.

    Members
    -------
    layer : descriptor, stable while the layer runs
    table : reads rows of the layer's table
    start : begins a layer (for one cycle)
    stop : the engine has stopped with an error
    outputs : `Outputs`
    image : beats of ``post_lanes`` bytes, uint8 or int8; each pixel begins with a beat of its own;
        all images of a batch one after the other
    result : beats of ``post_lanes`` values of 32 bits, zero in lanes without a channel
    write : `ActivationWrite`
    write_next : a write comes in the next cycle, with one port of the activation memory
    done : the layer's last output is stored (for one cycle)
    begun : the image has begun and not ended
    error : `ErrorCode` of the image, for one cycle
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "layer": In(LayerDescriptor(c)),
                "table": Out(StoreTableRead(c)),
                "start": In(1),
                "stop": In(1),
                "outputs": In(Outputs(c)),
                "image": In(packet_stream(8 * c.post_lanes)),
                "result": Out(packet_stream(32 * c.post_lanes)),
                "write": Out(ActivationWrite(c)),
                "write_next": Out(1),
                "done": Out(1),
                "begun": Out(1),
                "error": Out(ErrorCode),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, layer, rows = self.c, self.layer, LayerTable(self.c).other
        lanes, unit_beats = c.post_lanes, c.unit // c.post_lanes
        # Known a cycle late: nothing comes before a layer has begun.
        load, conv, one_tile = Signal(), Signal(), Signal()
        m.d.sync += [
            load.eq(layer.operation == Operation.LOAD),
            conv.eq(layer.operation == Operation.CONV),
            one_tile.eq(layer.tiles_last == 0),
        ]

        wide, skip = Signal(), Signal()
        if c.post_pixels > 1:
            image_loads = layer.operation == Operation.LOAD
            m.d.sync += [
                wide.eq(has_wide_beats(layer) & ~image_loads),
                skip.eq(skips_rows(c, layer) & ~image_loads),
            ]

        # Source: the image while it is loaded, else the post-processor.
        active, taken = Signal(), Signal()
        given = self.outputs
        arrives = given.valid if c.pipelining else given.valid & given.advance
        m.d.comb += [
            self.image.ready.eq(active & load & ~self.stop),
            taken.eq(Mux(load, self.image.valid & self.image.ready, arrives)),
        ]
        # What is stored of a number, see `INT8_ZERO`.
        zeros = Mux(layer.int8, INT8_ZERO, 0).replicate(lanes)
        # A pixel for each column that is written: one for all, or all, or each second.
        outputs = [
            Cat(given.values.word_select(pixel * lanes + i, 32)[:8] for i in range(lanes)) ^ zeros
            for pixel in range(c.post_pixels)
        ]
        one = Mux(load, self.image.payload.data ^ zeros, outputs[0])
        beat = Signal(c.post_pixels * 8 * lanes)
        m.d.comb += beat.eq(one.replicate(c.post_pixels))
        if c.post_pixels > 1:
            second = layer.store_x.phases_last[0]
            halves = range(0, c.post_pixels, 2)
            with m.If(wide):
                seconds = Cat(outputs[pixel] for pixel in (*halves, *halves))
                m.d.comb += beat.eq(Mux(second, seconds, Cat(outputs)))

        # Loops. Of the image, all tiles of channels of a pixel come before the next pixel.
        chunk = Signal(ceil_log2(c.och // lanes))
        tile, image = Signal(c.channel_tile_bits), Signal(ceil_log2(c.largest_batch))
        two_rows = {"together": 1 + (c.rows > 1 and c.post_pixels > 1), "several": skip}
        y = StoreWalk(m, layer.store_y, layer.tiles_y_last, load, c, c.rows, "y", **two_rows)
        together = {"together": c.post_pixels, "several": wide}
        x = StoreWalk(m, layer.store_x, layer.tiles_x_last, load, c, c.cols, "x", **together)
        over = Signal()
        part = chunk[: ceil_log2(unit_beats)]
        part_last = part.all() if unit_beats > 1 else 1
        next_tile, tile_last = Signal.like(tile), Signal()
        # Always the last one, where a batch is one image.
        next_image, image_last = Signal.like(image), Signal(init=1)
        m.d.comb += [next_tile.eq(tile + 1), next_image.eq(image + 1)]
        share_last = Mux(conv | load, chunk.all() if len(chunk) else 1, part_last)
        # The pixel's last channel, which the rest of a tile may follow.
        channels_end = Signal()
        m.d.comb += channels_end.eq(tile_last & (chunk == layer.beats_last))
        inside = y.inside & x.inside & ~over
        if c.pipelining:
            pixel_last = Mux(load | one_tile, channels_end, share_last)
        else:
            pixel_last = Mux(load, channels_end, share_last)
        row_ends = pixel_last & x.pixel_last
        pixels_end = row_ends & y.pixel_last
        map_ends = pixels_end & x.tile_last & y.tile_last
        all_ends = map_ends & image_last & tile_last

        # Units of one word follow each other as parts of it.
        split = ceil_log2(c.ich // c.unit)
        parts_end = tile[:split].all() if split else 1
        # A pixel of one tile ends in the word of its last channel.
        word_ends = part_last & parts_end & ~(one_tile & (over | channels_end))
        with m.If(~active):
            m.d.comb += self.table.row.eq(rows["start"])
        with m.Elif(~pixel_last):
            m.d.comb += self.table.row.eq(rows["next"])
        with m.Elif(map_ends & ~image_last):
            m.d.comb += self.table.row.eq(rows.get("image", 0))
        with m.Elif(map_ends):
            m.d.comb += self.table.row.eq(rows["map"])
            if split:
                with m.If(parts_end):
                    m.d.comb += self.table.row.eq(rows["map_word"])
        with m.Elif(pixels_end & x.tile_last):
            m.d.comb += self.table.row.eq(y.row(rows, "y"))
        with m.Elif(row_ends & ~y.pixel_last):
            if c.rows > 1:
                m.d.comb += self.table.row.eq(y.row(rows, "row"))
        with m.Else():
            m.d.comb += self.table.row.eq(x.row(rows, "x"))

        with m.If(self.start):
            m.d.sync += [active.eq(1), *(s.eq(0) for s in (tile, image, chunk, over))]
            m.d.sync += [tile_last.eq(layer.tiles_last == 0), image_last.eq(layer.images_last == 0)]
            y.begin(m)
            x.begin(m)
        with m.Elif(taken):
            m.d.sync += [chunk.eq(chunk + 1), over.eq((over | channels_end) & ~pixel_last)]
            with m.If(share_last | pixel_last):
                m.d.sync += chunk.eq(0)
            with m.If(map_ends):
                m.d.sync += [image.eq(next_image), image_last.eq(next_image == layer.images_last)]
                with m.If(image_last):
                    m.d.sync += [image.eq(0), image_last.eq(layer.images_last == 0)]
            with m.If(Mux(load, share_last, map_ends & image_last)):
                m.d.sync += [tile.eq(next_tile), tile_last.eq(next_tile == layer.tiles_last)]
            with m.If(load & pixel_last):
                m.d.sync += [tile.eq(0), tile_last.eq(layer.tiles_last == 0)]
            with m.If(pixel_last):
                x.step(m)
            if c.rows > 1:
                with m.If(row_ends):
                    y.step(m)
                with m.If(row_ends & ~y.pixel_last):
                    x.back(m)
                with m.If(pixels_end & ~x.tile_last):
                    y.back(m)
            with m.If(pixels_end):
                x.next_tile(m)
            with m.If(pixels_end & x.tile_last):
                if c.rows == 1:
                    y.step(m)
                y.next_tile(m)
            with m.If(all_ends):
                m.d.sync += active.eq(0)

        # Address: goes on in the cycle after, when it has been used.
        address = Signal(c.address_bits)
        goes_on = Signal()
        m.d.sync += goes_on.eq(self.start | (taken & (pixel_last | word_ends)))
        base = address
        if c.rows > 1:
            # To a pixel tile's next row from the first pixel of its row, to the next tile from the
            # last pixel of its first row.
            pixel_ends = Signal()
            of_row, of_tile = Signal(), Signal()
            m.d.sync += [
                pixel_ends.eq(taken & pixel_last),
                of_row.eq(active & row_ends & ~y.pixel_last),
                of_tile.eq(active & pixels_end & ~x.tile_last & ~load),
            ]
            first_row, first_col = Signal(), Signal()
            m.d.sync += [first_row.eq(y.first & row_ends), first_col.eq(x.first)]
            tile_base = Signal(c.address_bits)
            with m.If(pixel_ends & first_row):
                m.d.sync += tile_base.eq(address)
            row_base = address
            if c.cols > 1:
                row_base = Signal(c.address_bits)
                with m.If(pixel_ends & first_col):
                    m.d.sync += row_base.eq(address)
                if c.post_pixels == c.cols:
                    # A beat is the row.
                    row_base = Mux(wide, address, row_base)
            if c.post_pixels > 1:
                # The first row may be the last one.
                tile_base = Mux(pixel_ends & first_row, address, tile_base)
            base = Mux(of_row, row_base, Mux(of_tile, tile_base, address))
        with m.If(goes_on):
            m.d.sync += address.eq(base + self.table.increment)
        with m.If(self.start):
            m.d.sync += address.eq(0)

        m.submodules.writer = writer = ActivationWriter(c)
        wiring.connect(m, writer.write, wiring.flipped(self.write))
        m.d.comb += [
            self.write_next.eq(taken & inside & ~layer.to_result & (part_last | channels_end)),
            writer.taken.eq(taken),
            writer.beat.eq(beat),
            writer.part.eq(part),
            writer.ends.eq(self.write_next),
            writer.bank_y.eq(y.bank),
            writer.columns.eq(x.columns()),
            writer.parts.eq(1 << tile[:split] if split else 1),
            writer.address.eq(address),
        ]

        last = channels_end & y.last & x.last & image_last
        ended = Signal()
        m.d.sync += ended.eq(taken & all_ends)
        m.submodules.sender = sender = ResultSender(c)
        wiring.connect(m, sender.result, wiring.flipped(self.result))
        m.d.comb += [
            sender.begins.eq(given.begins & layer.to_result),
            sender.arrives.eq(given.valid & layer.to_result),
            sender.sent.eq(given.valid & inside & layer.to_result),
            sender.values.eq(given.values[: len(sender.values)]),
            # The first lane always has a channel.
            sender.beyond.eq(
                Cat(0, *(channels_end & (layer.lanes_last < lane) for lane in range(1, lanes)))
            ),
            sender.last.eq(last),
            sender.ended.eq(ended),
            sender.stop.eq(self.stop),
            given.advance.eq(sender.advance),
            self.done.eq(sender.done),
        ]

        with m.If(taken & load):
            m.d.sync += self.begun.eq(~last)
            with m.If(self.image.payload.last & ~last):
                m.d.comb += self.error.eq(ErrorCode.IMAGE_SHORT)
            with m.If(~self.image.payload.last & last):
                m.d.comb += self.error.eq(ErrorCode.IMAGE_LONG)
        return m
