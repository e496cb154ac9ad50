"""One lane of the model constructor: masks from the program, signs from there or from Xorshift.

::

    words ─► mask expander ─┬─► place of the next weight that is kept ─► ich masks ─┬─► tile buffer
                            └─► its sign, or chunks of signs ─┬─► signs of the same ┘
                                            key ─► xorshift32 ┘   ich weights

The lane constructs the output channels lane, lane + lanes, ... of each tile, in the order
ky, kx, c. In each cycle, or with `step_period` 2 in each second one, it takes a step of
the expander's or finishes a word; both where no word of the layer is narrower than the others.
Of a pair of the expander's it takes both pieces if the first one's weight is of the word in hand.
Of a layer that keeps all weights a word needs no more than its signs: with a `DenseCode` a step
takes a chunk of them, or one word whose signs are generated.
After a reset it first writes the identity that pools take to the words 0.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import TileWrite
from ..program.packets import ConstructionDescriptor
from .decoders import decoder_of
from .dense_code import DENSE, chunk_bits
from .mask_expander import RUN_BITS
from .shifter import select_value
from .sign_generator import SignGenerator
from .timing import step_period

__all__ = ["ConstructorLane"]


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
    prepared : has written the identity
    clear : before a program; forgets what is left of the mask words
    key_word, key : the next word of the layer's key
    start_layer : a new layer begins, with the key that came last
    start_tile : begins a tile (for one cycle)
    any_channel : the lane has output channels to construct in this tile
    channels_last : how many of them, - 1; there a cycle before the tile begins, if a step takes two
    upper : the tile is written to the upper half of the buffer
    i : mask words
    full : needs no word before the tile is complete (see `expander_signature`)
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
                "prepared": Out(1),
                "clear": In(1),
                "key_word": In(1),
                "key": In(c.program_bits),
                "start_layer": In(1),
                "start_tile": In(1),
                "any_channel": In(1),
                "channels_last": In(ceil_log2(share)),
                "upper": In(1),
                "i": In(stream.Signature(c.program_bits)),
                "full": Out(1),
                "complete": Out(1),
                "write": Out(TileWrite(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, layer = self.c, self.layer
        decoder = decoder_of(c)
        m.submodules.expander = expander = decoder.create(c)
        m.submodules.signs = signs = SignGenerator(c, self.lane)
        wiring.connect(m, wiring.flipped(self.i), expander.i)
        # The layer keeps all weights; and as their signs are generated, a word needs no code.
        dense, uncoded = Signal(), Signal()
        m.d.comb += [
            dense.eq((layer.parameter == DENSE) & self.prepared),
            uncoded.eq(dense & ~layer.signed),
            expander.clear.eq(self.clear),
            expander.start_layer.eq(self.start_layer),
            expander.parameter.eq(layer.parameter),
            expander.signed.eq(layer.signed),
            expander.dense.eq(dense),
            self.full.eq(expander.full),
            signs.key_word.eq(self.key_word),
            signs.key.eq(self.key),
            signs.start_layer.eq(self.start_layer),
        ]

        # The word in hand.
        channel = Signal.like(self.write.slice)
        segment, word = Signal.like(layer.segments_last), Signal.like(layer.word_before_last)
        address = Signal.like(layer.tile_words)
        masks, last = Signal(c.ich, init=1 << self.lane % c.ich), Signal(range(c.ich))
        # Known a word before, as much depends on it.
        segment_ends, at_end_of_channel, last_channel = Signal(), Signal(), Signal()
        only_word = layer.word_before_last == (1 << c.group_bits) - 1
        word_is_channel = layer.tile_words == 1
        at_end_of_row = segment_ends & (segment == layer.segments_last)
        row_ends = self._flag(m, at_end_of_row)
        channel_ends = self._flag(m, at_end_of_channel)
        ends_share = at_end_of_channel & last_channel
        share_ends = self._flag(m, ends_share)
        m.d.comb += last.eq(Mux(segment_ends, layer.tail_last, c.ich - 1))

        # Where the weight that is to be kept, or the next step's first one, lies in the word or
        # behind it.
        low = ceil_log2(c.ich)
        place, keep = Signal(RUN_BITS, init=self.lane + c.constructor_lanes), Signal()
        busy, steps, finish, accept, word_ends = (Signal() for _ in range(5))
        signs_there = signs.valid | layer.signed
        in_word = (place[low:] == 0) & (~segment_ends | (place[:low] <= layer.tail_last))
        # In the word behind it, which is as long, so that both can be dealt with at once.
        in_next = (place[low:] == 1) & (layer.tail_last == c.ich - 1)
        finishes = (~in_word | uncoded) & signs_there
        accepts = in_word | (in_next & signs_there)
        # What follows a tile is left where it is: it may be of another layer. Behind a word that
        # ends only the next one is looked into, which may be the tile's last one.
        at_tail = place[:low] == layer.tail_last
        at_end = keep & Mux(segment_ends, at_tail, place[:low] == c.ich - 1)
        leaves = Mux(ends_share, finishes | at_end, finishes & at_end)
        near, takes = self._flag(m, in_next), self._flag(m, accepts & ~leaves & ~uncoded)
        # Chunks of signs come one after the other into the word.
        size = chunk_bits(c)
        part, filled = Signal(range(c.ich // size)), expander.chunk_valid
        if size < c.ich:
            filled &= part.all()
        m.d.comb += [
            word_ends.eq(steps & (self._flag(m, finishes) | filled)),
            finish.eq(steps & self._flag(m, finishes)),
            accept.eq(steps & self._flag(m, accepts)),
            expander.take.eq(expander.valid & Mux(busy, steps & takes, ~expander.whole)),
        ]
        if step_period(c) == 1:
            m.d.comb += steps.eq(busy)
        else:
            stands = Signal()
            m.d.comb += steps.eq(busy & stands)
            m.d.sync += stands.eq(~(finish | (accept & keep) | expander.take))
        base, more, kept = Signal(RUN_BITS), Signal(RUN_BITS), Signal()
        behind = Signal(RUN_BITS)
        m.d.comb += [base.eq(place), behind.eq(last), kept.eq(accept & keep)]
        with m.If(finish & near):
            m.d.comb += base[low].eq(0)
        with m.If(expander.take):
            m.d.comb += more.eq(expander.run)
        with m.If(finish & ~near):
            m.d.comb += more.eq(~behind)
        behind_step, next_keep, next_masks = Signal(RUN_BITS), Signal(), kept << place[:low]
        m.d.comb += [behind_step.eq(base + more + kept), next_keep.eq(keep & ~accept)]
        with m.If(expander.take):
            m.d.comb += next_keep.eq(expander.keep)
        if decoder.pairs:
            # The first weight of a pair is of the word in hand, and not the tile's last one, as
            # above, if the run in front of it is shorter than this.
            strict = ~in_word | ends_share
            space = last - place[:low]
            fits = Cat(space >= run for run in range(c.ich + 2))
            for late in (keep, strict):
                fits = Mux(late, fits[1:], fits[:-1])
            fits = self._flag(m, fits[: c.ich])
            begin = self._flag(m, place[:low] + keep)
            first = Signal(range(2 * c.ich))
            of_word = (expander.run[low:] == 0) & select_value(fits, expander.run[:low])
            m.d.comb += [
                first.eq(begin + expander.run[:low]),
                expander.take_second.eq(expander.take & busy & expander.pair & of_word),
            ]
            with m.If(expander.take_second):
                m.d.comb += [
                    behind_step.eq(first + expander.second_run + 1),
                    next_keep.eq(expander.second_keep),
                ]
            next_masks |= expander.take_second << first[:low]
        # Signs that were coded.
        negative, negatives = Signal(), Signal(c.ich)
        next_negatives = next_masks & negative.replicate(c.ich)
        m.d.sync += [
            place.eq(behind_step),
            keep.eq(next_keep),
            masks.eq(Mux(self.write.enable, 0, masks) | next_masks),
            negatives.eq(Mux(self.write.enable, 0, negatives) | next_negatives),
        ]
        with m.If(expander.take):
            m.d.sync += negative.eq(expander.negative)
        whole_word = Cat(C(1), *(last >= number for number in range(1, c.ich)))
        word_masks = masks | (whole_word & dense.replicate(c.ich))
        chunks = Cat(negatives, expander.chunk)[size:]
        if size == c.ich:
            # The others are 0.
            word_signs = negatives | (chunks & dense.replicate(c.ich))
        else:
            word_signs = Mux(dense, chunks, negatives)
            with m.If(expander.take & dense):
                m.d.sync += [negatives.eq(chunks), part.eq(part + 1)]

        m.d.comb += [
            signs.advance.eq(finish),
            signs.last.eq(last),
            signs.row_ends.eq(row_ends),
            signs.channel_ends.eq(channel_ends),
            self.write.enable.eq(word_ends | ~self.prepared),
            self.write.slice.eq(channel),
            self.write.address.eq(Cat(address[:-1], address[-1] | self.upper)),
            self.write.data.eq(
                Cat(word_masks, Mux(layer.signed, word_signs, signs.signs & word_masks))
            ),
            self.complete.eq(~busy & expander.whole),
        ]
        with m.If(word_ends):
            m.d.sync += [address.eq(address + 1), word.eq(word + 1)]
            m.d.sync += segment_ends.eq(word == layer.word_before_last)
            m.d.sync += at_end_of_channel.eq(address + 1 == layer.tile_words)
            with m.If(segment_ends):
                m.d.sync += [word.eq(0), segment.eq(segment + 1), segment_ends.eq(only_word)]
            with m.If(row_ends):
                m.d.sync += segment.eq(0)
            with m.If(channel_ends):
                m.d.sync += [channel.eq(channel + 1), address.eq(1)]
                m.d.sync += at_end_of_channel.eq(word_is_channel)
                m.d.sync += last_channel.eq(channel + 1 == self.channels_last)
            with m.If(share_ends):
                m.d.sync += [channel.eq(0), busy.eq(0)]
        with m.If(~busy):
            m.d.sync += last_channel.eq(self.channels_last == 0)
        with m.If(self.start_tile):
            m.d.sync += busy.eq(self.any_channel)
        begins = (self.clear | self.start_layer) & self.prepared
        with m.If(begins):
            m.d.sync += [segment_ends.eq(only_word), part.eq(0)]
            m.d.sync += at_end_of_channel.eq(word_is_channel)
        # Before the first tile, what layer it is of may be unknown.
        holds = busy & dense
        with m.If(begins | holds):
            m.d.sync += [keep.eq(0), place.eq(0), masks.eq(0)]
        with m.If(begins | (holds & (size == c.ich))):
            m.d.sync += negatives.eq(0)
        # As if each output channel kept one weight, of a sign that is still 0.
        with m.If(~self.prepared):
            m.d.comb += [kept.eq(1), more.eq(c.constructor_lanes - 1)]
            m.d.sync += channel.eq(channel + 1)
            with m.If(channel.all() if len(channel) else 1):
                m.d.sync += [self.prepared.eq(1), channel.eq(0), address.eq(1)]
        return m

    def _flag(self, m: Module, value) -> Signal:
        """What depends on the lane's state; with two cycles from step to step, a cycle late."""
        flag = Signal.like(value)
        m.d["comb" if step_period(self.c) == 1 else "sync"] += flag.eq(value)
        return flag
