"""One lane of the model constructor: masks from the program, signs from Xorshift.

::

    words ─► mask expander ─► run ─► place ─► word of ich masks and signs ─► tile buffer
                              xorshift32 ─► sign of the weight that is kept

The lane constructs the output channels lane, lane + lanes, ... of each tile, in the order
ky, kx, c. In each cycle it either keeps one weight or finishes one word, or both.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hiddenite.golden.weights import KEY_CHANNEL, KEY_INDEX

from .configuration import Configuration
from .mask_expander import RUN_BITS, MaskExpander
from .program import ConstructionDescriptor
from .tile_buffer import TileWrite

__all__ = ["ConstructorLane", "xorshift32"]


def xorshift32(x):
    """Next state of the generator (Marsaglia 2003), combinational."""
    x = x ^ (x << 13)[:32]
    x = x ^ (x >> 17)
    return x ^ (x << 5)[:32]


class ConstructorLane(wiring.Component):
    """Constructs its output channels, tile after tile.

    Parameters
    ----------
    c : Configuration
    lane : int
        Number of the lane.

    Members
    -------
    layer : descriptor, stable while its tiles are constructed
    clear : before a program; forgets what is left of the mask words
    start_layer : takes the layer's key
    start_tile : begins a tile (for one cycle)
    channels : output channels that the lane has to construct in this tile
    base : address of the tile's first word, from the cycle after ``start_tile``
    i : mask words
    full : needs no word before the tile is complete (see `MaskExpander`)
    complete : has constructed its share of the tile
    write : to the tile buffer
    """

    def __init__(self, c: Configuration, lane: int):
        self.c = c
        self.lane = lane
        share = c.och // c.constructor_lanes
        super().__init__(
            {
                "layer": In(ConstructionDescriptor(c)),
                "clear": In(1),
                "start_layer": In(1),
                "start_tile": In(1),
                "channels": In(range(share + 1)),
                "base": In(ceil_log2(c.tile_words)),
                "i": In(stream.Signature(c.program_bits)),
                "full": Out(1),
                "complete": Out(1),
                "write": Out(TileWrite(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, layer = self.c, self.layer
        m.submodules.expander = expander = MaskExpander(c.program_bits)
        wiring.connect(m, wiring.flipped(self.i), expander.i)
        m.d.comb += [
            expander.clear.eq(self.clear),
            expander.parameter.eq(layer.parameter),
            self.full.eq(expander.full),
        ]

        key, x, following = Signal(32), Signal(32), Signal(32)
        m.d.comb += following.eq(xorshift32(x))
        channel = Signal(range(c.och // c.constructor_lanes + 1))
        row, segment, word = (Signal.like(layer.rows_last) for _ in range(3))
        address = Signal(ceil_log2(c.tile_words))

        # The piece that is being placed.
        run, keep, have = Signal(RUN_BITS), Signal(), Signal()
        # Weights still to come in the word, and where in it and in its sign word the next one is.
        left, place, bit = Signal(range(c.ich + 1)), Signal(range(c.ich + 1)), Signal(5)
        masks, signs = Signal(c.ich), Signal(c.ich)

        placing, keeps, finishes, advance = Signal(), Signal(), Signal(), Signal(range(c.ich + 1))
        next_masks, next_signs = Signal(c.ich), Signal(c.ich)
        crosses = (bit + advance)[5]
        slot = (place + run)[: ceil_log2(c.ich)]
        sign = Cat(x, following).bit_select((bit + run)[:6], 1)
        m.d.comb += [
            keeps.eq(keep & (run < left)),
            advance.eq(Mux(run < left, run + keep, left)),
            finishes.eq(advance == left),
            next_masks.eq(masks | Mux(keeps, Const(1, c.ich) << slot, 0)),
            next_signs.eq(signs | Mux(keeps, sign << slot, 0)),
            self.write.enable.eq(placing & finishes),
            self.write.slice.eq(channel),
            self.write.address.eq(address),
            self.write.data.eq(Cat(next_masks, next_signs)),
        ]

        segment_ends = word == layer.words_last
        row_ends = segment_ends & (segment == layer.segments_last)
        channel_ends = row_ends & (row == layer.rows_last)
        share_ends = channel_ends & (channel + 1 == self.channels)

        def begin_word(last):
            return [
                left.eq(Mux(last, layer.tail_last + 1, c.ich)),
                place.eq(0),
                masks.eq(0),
                signs.eq(0),
            ]

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start_tile):
                    m.d.sync += channel.eq(0)
                    with m.If(self.channels != 0):
                        m.next = "KEY"
                m.d.comb += self.complete.eq(1)
            with m.State("KEY"):
                m.d.sync += [
                    address.eq(self.base),
                    x.eq(key),
                    key.eq(key + (KEY_CHANNEL * c.constructor_lanes & 0xFFFFFFFF)),
                ]
                m.next = "FIRST"
            with m.State("FIRST"):
                m.d.sync += x.eq(following)
                m.next = "WEYL"
            with m.State("WEYL"):
                m.d.sync += x.eq(x + KEY_INDEX)
                m.next = "SECOND"
            with m.State("SECOND"):
                m.d.sync += [
                    x.eq(following | (following == 0)),
                    bit.eq(0),
                    row.eq(0),
                    segment.eq(0),
                    word.eq(0),
                    *begin_word(layer.words_last == 0),
                ]
                m.next = "PLACE"
            with m.State("PLACE"):
                with m.If(have):
                    m.d.comb += placing.eq(1)
                    m.d.sync += [
                        run.eq(run - left),
                        left.eq(left - advance),
                        place.eq(place + advance),
                        bit.eq(bit + advance),
                        masks.eq(next_masks),
                        signs.eq(next_signs),
                    ]
                    with m.If(crosses):
                        m.d.sync += x.eq(following)
                    with m.If(finishes):
                        m.d.sync += [
                            address.eq(address + 1),
                            word.eq(word + 1),
                            *begin_word(word + 1 == layer.words_last),
                        ]
                        with m.If(segment_ends):
                            m.d.sync += [
                                word.eq(0),
                                segment.eq(segment + 1),
                                *begin_word(layer.words_last == 0),
                            ]
                        with m.If(channel_ends):
                            m.d.sync += channel.eq(channel + 1)
                            m.next = "KEY"
                            with m.If(share_ends):
                                m.next = "IDLE"
                        with m.Elif(row_ends):
                            m.next = "ROW"
                with m.If(~have | (run < left)):
                    # What follows a tile is left where it is: it may be of another layer.
                    with m.If(~(have & finishes & share_ends)):
                        m.d.comb += expander.take.eq(expander.valid)
                        m.d.sync += [run.eq(expander.run), keep.eq(expander.keep)]
                    m.d.sync += have.eq(expander.take)
            with m.State("ROW"):
                # The next row starts on a fresh word.
                with m.If(bit != 0):
                    m.d.sync += [x.eq(following), bit.eq(0)]
                m.d.sync += [row.eq(row + 1), segment.eq(0)]
                m.next = "PLACE"

        with m.If(self.start_layer):
            start = KEY_CHANNEL * self.lane & 0xFFFFFFFF
            m.d.sync += [key.eq(layer.key + start), have.eq(0)]
        with m.If(self.clear):
            m.d.sync += have.eq(0)
        return m
