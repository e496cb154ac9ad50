"""One lane of the model constructor: masks from the program, signs from Xorshift.

::

    words ─► mask expander ─► place of the next weight that is kept ─► ich masks ─┬─► tile buffer
                              key ─► xorshift32 ─► signs of the same ich weights ─┘

The lane constructs the output channels lane, lane + lanes, ... of each tile, in the order
ky, kx, c. In each cycle it either keeps one weight or finishes one word, or both.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hiddenite.golden.weights import KEY_CHANNEL, KEY_INDEX

from .configuration import Configuration
from .mask_expander import RUN_BITS, MaskExpander
from .program import ConstructionDescriptor
from .shifter import select_bits
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
    key : the word in ``i.payload`` is that word of the layer's key (one bit each)
    start_layer : a new layer begins, with the key that came last
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
                "key": In(max(1, 32 // c.program_bits)),
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

        # The key of the next channel, and the generator. While a channel begins they change places,
        # so that there is one adder for both: what it adds is chosen before it, what it gives is
        # replaced behind it.
        key, x, following = Signal(32, name="channel_key"), Signal(32), Signal(32)
        operand, replace, key_enable = Signal(32), Signal(), Signal(len(self.key))
        load_x, step_x = Signal(), Signal()
        part = 32 // len(self.key)
        start = KEY_CHANNEL * self.lane & 0xFFFFFFFF
        step = KEY_CHANNEL * c.constructor_lanes & 0xFFFFFFFF
        new_key = Signal(32)
        m.d.comb += [
            following.eq(xorshift32(x)),
            new_key.eq(key + operand),
            operand.eq(KEY_INDEX),
            key_enable.eq(self.key),
        ]
        with m.If(replace):
            m.d.comb += new_key.eq(operand)
        for number in range(len(self.key)):
            with m.If(key_enable[number]):
                m.d.sync += key.word_select(number, part).eq(new_key.word_select(number, part))
        with m.If(step_x | load_x):
            m.d.sync += x.eq(Mux(load_x, key, following))
        with m.If(self.key.any()):
            m.d.comb += [
                operand.eq(self.i.payload[:part].replicate(len(self.key))),
                replace.eq(1),
            ]

        channel = Signal(range(c.och // c.constructor_lanes + 1))
        row, segment, word = (Signal.like(layer.rows_last) for _ in range(3))
        address = Signal(ceil_log2(c.tile_words))

        # The piece in hand: where the weight that it keeps, or the next piece's first one, lies in
        # the word or behind it. Without a piece: where the next one begins.
        place, keep, have = Signal(RUN_BITS), Signal(), Signal()
        # The word's masks, and the bit of x that is the sign of its first weight.
        masks, bit = Signal(c.ich), Signal(5)
        last = Signal(range(c.ich))

        placing, inside, ends, finishes = Signal(), Signal(), Signal(), Signal()
        next_masks = Signal(c.ich)
        next_bit = Signal(6)
        segment_ends = word == layer.words_last
        row_ends = segment_ends & (segment == layer.segments_last)
        channel_ends = row_ends & (row == layer.rows_last)
        share_ends = channel_ends & (channel + 1 == self.channels)
        signs = select_bits(m, Cat(x, following[: c.ich]), bit, c.ich)
        m.d.comb += [
            last.eq(Mux(segment_ends, layer.tail_last, c.ich - 1)),
            inside.eq(place <= last),
            ends.eq(place == last),
            finishes.eq(~inside | (ends & keep)),
            next_masks.eq(masks | ((inside & keep) << place[: ceil_log2(c.ich)])),
            next_bit.eq(bit + last + 1),
            self.write.enable.eq(placing & finishes),
            self.write.slice.eq(channel),
            self.write.address.eq(address),
            self.write.data.eq(Cat(next_masks, signs & next_masks)),
        ]

        # Where the next piece's place counts from, and what is added: its run, or one word less.
        base, more, behind = (Signal(RUN_BITS) for _ in range(3))
        after, passes = Signal(), Signal()
        low = ceil_log2(c.ich)
        m.d.comb += [
            passes.eq(placing & ~inside),
            base.eq(place),
            after.eq(placing & inside & keep & ~ends),
            more.eq(Mux(expander.take, expander.run, 0)),
        ]
        m.d.comb += behind.eq(last)
        with m.If(passes):
            m.d.comb += more.eq(~behind)
        with m.If(placing & inside & keep & ends):
            m.d.comb += base[:low].eq(0)
        m.d.sync += place.eq(base + more + after)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.complete.eq(1), load_x.eq(1)]
                m.d.sync += channel.eq(0)
                with m.If(self.start_tile & (self.channels != 0)):
                    m.next = "FIRST"
            with m.State("FIRST"):
                m.d.comb += step_x.eq(1)
                m.d.sync += address.eq(self.base)
                m.next = "SWAP"
            for state, following_state in (("SWAP", "WEYL"), ("BACK", "SECOND")):
                with m.State(state):
                    m.d.comb += [
                        load_x.eq(1),
                        operand.eq(x),
                        replace.eq(1),
                        key_enable.eq(~0),
                    ]
                    m.next = following_state
                if state == "SWAP":
                    with m.State("WEYL"):
                        m.d.comb += key_enable.eq(~0)
                        m.next = "BACK"
            with m.State("SECOND"):
                m.d.comb += [step_x.eq(1), operand.eq(step), key_enable.eq(~0)]
                # Only 0 is followed by 0.
                with m.If(x == 0):
                    m.d.sync += x[0].eq(1)
                m.d.sync += [bit.eq(0), row.eq(0)]
                m.next = "PLACE"
            with m.State("PLACE"):
                with m.If(have):
                    m.d.comb += placing.eq(1)
                    m.d.sync += masks.eq(next_masks)
                    with m.If(finishes):
                        m.d.sync += [
                            address.eq(address + 1),
                            word.eq(word + 1),
                            masks.eq(0),
                            bit.eq(next_bit),
                        ]
                        m.d.comb += step_x.eq(next_bit[5])
                        with m.If(segment_ends):
                            m.d.sync += [word.eq(0), segment.eq(segment + 1)]
                        with m.If(channel_ends):
                            m.d.sync += [channel.eq(channel + 1), segment.eq(0)]
                            m.d.comb += load_x.eq(1)
                            m.next = "FIRST"
                            with m.If(share_ends):
                                m.next = "IDLE"
                        with m.Elif(row_ends):
                            m.next = "ROW"
                with m.If(~have | inside):
                    # What follows a tile is left where it is: it may be of another layer.
                    with m.If(~(have & finishes & share_ends)):
                        m.d.comb += expander.take.eq(expander.valid)
                        m.d.sync += keep.eq(expander.keep)
                    m.d.sync += have.eq(expander.take)
            with m.State("ROW"):
                # The next row starts on a fresh word.
                with m.If(bit != 0):
                    m.d.comb += step_x.eq(1)
                m.d.sync += [bit.eq(0), row.eq(row + 1), segment.eq(0)]
                m.next = "PLACE"

        with m.If(self.start_layer):
            m.d.sync += [have.eq(0), place.eq(0)]
            if start:
                m.d.comb += [operand.eq(start), key_enable.eq(~0)]
        with m.If(self.clear):
            m.d.sync += [have.eq(0), place.eq(0)]
        return m
