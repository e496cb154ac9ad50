"""Where outputs go: into the activation memory or out on the result stream.

::

    post-processor ─┐
                    ├─► outputs ─┬─► a unit of min(ich, och) bytes ─► activation memory
    image ──────────┘            └─► result

Outputs come without an address, in the order of the array: for each tile of output channels, for
each pixel tile, for each pixel of it, ``post_lanes`` channels a beat. The store counts along; it
drops pixels outside the map and channels beyond the last. The image comes in the same way, as if
its pixel tiles had one pixel, but in ``y, x, channel`` order.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .configuration import Configuration
from .program import ErrorCode, LayerDescriptor, Operation
from .window import next_pixel

__all__ = ["Store"]


class Store(wiring.Component):
    """Counts outputs and puts each where it belongs.

    Members
    -------
    layer : descriptor, stable while the layer runs
    start : begins a layer (for one cycle)
    stop : the engine has stopped with an error
    valid, outputs, advance : from the post-processor
    image : beats of ``post_lanes`` bytes; each pixel begins with a beat of its own
    result : beats of ``post_lanes`` values of 32 bits, zero in lanes without a channel
    write, write_* : to the activation memory, see `ActivationMemory`
    write_next : a write comes in the next cycle
    done : the layer's last output is stored (for one cycle)
    begun : the image has begun and not ended
    error : `ErrorCode` of the image, for one cycle
    """

    def __init__(self, c: Configuration):
        self.c = c
        beat = data.StructLayout({"data": 32 * c.post_lanes, "last": 1})
        image = data.StructLayout({"data": 8 * c.post_lanes, "last": 1})
        super().__init__(
            {
                "layer": In(LayerDescriptor(c)),
                "start": In(1),
                "stop": In(1),
                "valid": In(1),
                "outputs": In(32 * c.post_lanes),
                "advance": Out(1),
                "image": In(stream.Signature(image)),
                "result": Out(stream.Signature(beat)),
                "write": Out(1),
                "write_bank_y": Out(ceil_log2(c.rows)),
                "write_bank_x": Out(ceil_log2(c.cols)),
                "write_address": Out(c.address_bits),
                "write_data": Out(8 * c.ich),
                "write_parts": Out(c.ich // c.unit),
                "write_next": Out(1),
                "done": Out(1),
                "begun": Out(1),
                "error": Out(ErrorCode),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, layer = self.c, self.layer
        lanes, unit_beats = c.post_lanes, c.unit // c.post_lanes
        load = layer.operation == Operation.LOAD
        conv = layer.operation == Operation.CONV

        # Source: the image while it is loaded, else the post-processor.
        active, taken = Signal(), Signal()
        room = Signal()
        m.d.comb += [
            room.eq(~layer.to_result | ~self.result.valid | self.result.ready),
            self.advance.eq(room & ~self.stop),
            self.image.ready.eq(active & load & ~self.stop),
            taken.eq(Mux(load, self.image.valid & self.image.ready, self.valid & self.advance)),
        ]
        beat = Signal(8 * lanes)
        m.d.comb += beat.eq(
            Mux(
                load,
                self.image.payload.data,
                Cat(self.outputs.word_select(i, 32)[:8] for i in range(lanes)),
            )
        )

        # Place: beat within the unit, unit within the tile's share of a pixel, pixel, tile.
        y = _StoreWalk(m, c, layer.store_y, c.rows, "y")
        x = _StoreWalk(m, c, layer.store_x, c.cols, "x")
        tile = Signal(16)
        first_unit, unit = Signal(c.address_bits + 8), Signal(c.address_bits + 8)
        first_chunk, chunk = Signal(17), Signal(17)
        part = Signal(range(max(2, unit_beats)))
        tile_x, tile_y = Signal(c.coordinate_bits), Signal(c.coordinate_bits)
        sub_x, sub_y = Signal(ceil_log2(c.cols)), Signal(ceil_log2(c.rows))

        inside = y.inside & x.inside & (chunk <= layer.chunks_last)
        chunk_last = chunk == layer.chunks_last
        part_last = part == unit_beats - 1
        per_pixel = Mux(conv, c.och // lanes - 1, unit_beats - 1)
        pixel_last = Mux(load, chunk_last, chunk - first_chunk == per_pixel)
        sub_x_last = load | (sub_x.all() if c.cols > 1 else 1)
        sub_y_last = load | (sub_y.all() if c.rows > 1 else 1)
        tile_x_last = tile_x == layer.window_x.tiles_last
        tile_y_last = tile_y == layer.window_y.tiles_last
        row_ends = pixel_last & sub_x_last
        pixels_end = row_ends & sub_y_last
        map_ends = pixels_end & tile_x_last & tile_y_last

        with m.If(self.start):
            m.d.sync += [
                active.eq(1),
                *(s.eq(0) for s in (tile, first_unit, unit, first_chunk, chunk, part)),
                *(s.eq(0) for s in (tile_x, tile_y, sub_x, sub_y)),
            ]
            y.begin(m, layer.store_address)
            x.begin(m, 0)
        with m.Elif(taken):
            m.d.sync += [part.eq(part + 1), chunk.eq(chunk + 1)]
            with m.If(part_last):
                m.d.sync += [part.eq(0), unit.eq(unit + 1)]
            with m.If(pixel_last):
                m.d.sync += [
                    part.eq(0),
                    unit.eq(first_unit),
                    chunk.eq(first_chunk),
                    sub_x.eq(Mux(load, 0, sub_x + 1)),
                ]
                x.step(m)
            with m.If(row_ends):
                m.d.sync += sub_y.eq(Mux(load, 0, sub_y + 1))
                with m.If(~sub_y_last):
                    x.back(m)
                y.step(m)
            with m.If(pixels_end):
                m.d.sync += tile_x.eq(tile_x + 1)
                x.keep(m)
                with m.If(tile_x_last):
                    m.d.sync += [tile_x.eq(0), tile_y.eq(tile_y + 1)]
                    x.begin(m, 0)
                    y.keep(m)
                with m.Else():
                    y.back(m)
            with m.If(map_ends):
                after = (first_unit + Mux(conv, c.och // c.unit, 1))[: len(unit)]
                following = (first_chunk + Mux(conv, c.och // lanes, unit_beats))[: len(chunk)]
                m.d.sync += [
                    tile_y.eq(0),
                    tile.eq(tile + 1),
                    first_unit.eq(after),
                    unit.eq(after),
                    first_chunk.eq(following),
                    chunk.eq(following),
                ]
                y.begin(m, layer.store_address)
                with m.If(tile == layer.tiles_last):
                    m.d.sync += active.eq(0)

        # Activation memory: a unit at a time.
        collected = Signal(8 * c.unit, reset_less=True)
        whole = Signal(8 * c.unit)
        m.d.comb += whole.eq(collected)
        for index in range(unit_beats):
            with m.If(part == index):
                m.d.comb += whole.word_select(index, 8 * lanes).eq(beat)
        with m.If(taken):
            m.d.sync += collected.eq(whole)
        split = ceil_log2(c.ich // c.unit)
        m.d.comb += self.write_next.eq(
            taken & inside & ~layer.to_result & (part_last | pixel_last | chunk_last)
        )
        m.d.sync += [
            self.write.eq(self.write_next),
            self.write_bank_y.eq(y.bank),
            self.write_bank_x.eq(x.bank),
            self.write_address.eq(y.address + x.address + (unit >> split)),
            self.write_data.eq(whole.replicate(c.ich // c.unit)),
            self.write_parts.eq(1 << unit[:split] if split else 1),
        ]

        # Result stream.
        last = chunk_last & y.last & x.last & (tile == layer.tiles_last)
        values = [self.outputs.word_select(i, 32) for i in range(lanes)]
        for lane in range(1, lanes):
            values[lane] = Mux(chunk_last & (layer.lanes_last < lane), 0, values[lane])
        with m.If(self.result.ready):
            m.d.sync += self.result.valid.eq(0)
        with m.If(taken & inside & layer.to_result):
            m.d.sync += [
                self.result.valid.eq(1),
                self.result.payload.data.eq(Cat(values)),
                self.result.payload.last.eq(last),
            ]
        with m.If(self.stop):
            m.d.sync += self.result.valid.eq(0)

        m.d.sync += self.done.eq(taken & map_ends & (tile == layer.tiles_last))

        with m.If(taken & load):
            m.d.sync += self.begun.eq(~last)
            with m.If(self.image.payload.last & ~last):
                m.d.comb += self.error.eq(ErrorCode.IMAGE_SHORT)
            with m.If(~self.image.payload.last & last):
                m.d.comb += self.error.eq(ErrorCode.IMAGE_LONG)
        return m


class _StoreWalk:
    """The place of an output along one axis."""

    def __init__(self, m: Module, c: Configuration, axis, banks: int, name: str):
        n, a, b = c.coordinate_bits, c.address_bits, ceil_log2(banks)
        self.axis = axis
        self.here = [
            Signal(width, name=f"{name}_{part}")
            for part, width in zip(
                ("phase", "bank", "address", "position"), (n, b, a, n), strict=True
            )
        ]
        self.kept = [Signal.like(signal, name=f"kept_{signal.name}") for signal in self.here]
        phase, self.bank, self.address, position = self.here
        _, *self.next = next_pixel(axis, phase, self.bank, self.address)
        self.next.append(position + 1)
        self.inside, self.last = Signal(), Signal()
        m.d.comb += [
            self.inside.eq(position <= axis.size_last),
            self.last.eq(position == axis.size_last),
        ]

    def begin(self, m: Module, address):
        """Go to the first pixel."""
        for state in (self.here, self.kept):
            m.d.sync += [s.eq(v) for s, v in zip(state, (0, 0, address, 0), strict=True)]

    def step(self, m: Module):
        """Go one pixel on."""
        m.d.sync += [s.eq(v) for s, v in zip(self.here, self.next, strict=True)]

    def keep(self, m: Module):
        """Go one pixel on, where the next tile begins."""
        m.d.sync += [s.eq(v) for s, v in zip(self.kept, self.next, strict=True)]

    def back(self, m: Module):
        """Go to where the tile begins."""
        m.d.sync += [s.eq(v) for s, v in zip(self.here, self.kept, strict=True)]
