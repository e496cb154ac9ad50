"""From accumulators to outputs: bias, scale, residual, rounding shift, clip.

::

    totals ─► hold ─► + bias ─► x scale ─► + ─► >> shift ─► round ─► clip ─► outputs
              (shifts out           residual x
               post_lanes a cycle)  residual scale
    pixels ─► residual

The hold takes a whole pixel tile at once, so that the array goes on with the next one at once.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .configuration import Configuration
from .memory import shared_memory
from .program import FAR_SHIFT, ChannelRecord, LayerDescriptor, Operation, words_of
from .shared_module import SharedModule

__all__ = ["PostLane", "PostProcessor", "pool_period"]

LATENCY = 5
"""Cycles from the hold to an output."""

WORD = 15
"""Bits of an unsigned factor of a DSP block that multiplies signed numbers of 16 bits."""


def pool_period(c: Configuration) -> int:
    """Cycles from a pixel tile of a pool to the next one, at least.

    Where they are fewer than a sum takes to its outputs, several sums are on their way; the hold
    gives one's last output before the next one comes.
    """
    return min(max(2, c.banks * c.unit // c.post_lanes), 2 + c.read_latency + c.array_latency)


class PostLane(wiring.Component):
    """One output of `hiddenite` network's arithmetic; latency 5 cycles while ``advance`` is 1.

    Parameters
    ----------
    accumulator_bits, bias_bits : int
    shifter : str
        See `hiddenite.rtl.configuration`.

    Members
    -------
    conv : the bias counts
    total, bias, scale : of the channel; the sum of total and bias fits in ``bias_bits``
    residual, residual_scale : what is added, and its scale
    shift, shift_far, int32 : of the layer; int32: the output is signed, of 32 bits
    output : of 8 bits, or of 32
    """

    def __init__(self, accumulator_bits: int, bias_bits: int, shifter: str):
        self.bias_bits, self.shifter = bias_bits, shifter
        super().__init__(
            {
                "advance": In(1),
                "conv": In(1),
                "total": In(accumulator_bits),
                "bias": In(signed(bias_bits)),
                "scale": In(signed(16)),
                "residual": In(8),
                "residual_scale": In(24),
                "shift": In(4),
                "shift_far": In(1),
                "int32": In(1),
                "output": Out(signed(32)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        def register(shape):
            return Signal(shape, reset_less=True)

        # Products in two parts, each of which a DSP block takes, with the addition behind it: of 16
        # bits (iCE40), or if that is not enough of 18.
        split = max(WORD, self.bias_bits - 17)
        value_bits = ((1 << self.bias_bits + 14) + (1 << 8 + 24)).bit_length() + 1
        # The bias makes up for what the PEs count too much: the sum is the true one again.
        total, scale = register(signed(self.bias_bits)), register(signed(16))
        added_low, added_high = register(8 + split), register(8 + 24 - split)
        low, high = register(signed(split + 17)), register(signed(value_bits - split))
        total_value = Signal(signed(value_bits))
        value = register(signed(value_bits))
        m.d.comb += total_value.eq(low + (high << split))
        with m.If(self.advance):
            m.d.sync += [
                total.eq(Mux(self.conv, self.total + self.bias, self.total)),
                scale.eq(self.scale),
                added_low.eq(self.residual * self.residual_scale[:split]),
                added_high.eq(self.residual * self.residual_scale[split:]),
                low.eq(total[:split] * scale + added_low),
                high.eq(total[split:].as_signed() * scale + added_high),
                value.eq(Mux(self.shift_far, total_value >> FAR_SHIFT, total_value)),
            ]
        shifted = self._multiplied if self.shifter == "multipliers" else self._selected
        rounded = Signal(signed(value_bits))
        m.d.comb += rounded.eq(shifted(m, value))

        fits, over, under = Signal(), Signal(), Signal()
        low_byte = Signal(8)
        m.d.comb += [
            fits.eq(
                Mux(
                    self.int32,
                    rounded[31:].all() | ~rounded[31:].any(),
                    ~rounded[8:].any(),
                )
            ),
            over.eq(~fits & ~rounded[-1]),
            under.eq(~fits & rounded[-1]),
            low_byte.eq(rounded[:8] | over.replicate(8)),
        ]
        with m.If(self.advance):
            m.d.sync += [
                self.output[:8].eq(low_byte),
                self.output[8:31].eq(rounded[8:31] | over.replicate(23)),
                self.output[31].eq(rounded[-1]),
            ]
            with m.If(under):
                m.d.sync += self.output[:8].eq(0)
            with m.If(under | ~self.int32):
                m.d.sync += self.output[8:31].eq(0)
            with m.If(~self.int32):
                m.d.sync += self.output[31].eq(0)
        return m

    def _selected(self, m: Module, value):
        """The value shifted right by ``shift`` + 1 and rounded, a cycle later: multiplexers."""
        shifted = Signal.like(value, reset_less=True)
        with m.If(self.advance):
            m.d.sync += shifted.eq(value >> self.shift)
        return (shifted + 1) >> 1

    def _multiplied(self, m: Module, value):
        """Likewise: times a power of two, word by word, without the lowest word of the product."""
        power = Signal(WORD)
        m.d.comb += power.eq(Cat(self.shift == WORD - 1 - place for place in range(WORD)))
        # What a word's product has above its own bits is added to the next one's, and what rounds
        # to the first one's.
        first, carried = Signal(2 * WORD), Signal(WORD, reset_less=True)
        rest = value[WORD:].as_signed()
        words = Signal.like(rest, reset_less=True)
        m.d.comb += first.eq(value[:WORD] * power + (1 << WORD - 1))
        with m.If(self.advance):
            m.d.sync += [carried.eq(first >> WORD), words.eq(rest)]
        out, above = [], carried
        for place in range(0, len(words) - WORD, WORD):
            product = Signal(2 * WORD, name=f"product_{place}")
            m.d.comb += product.eq(words[place : place + WORD] * power + above)
            above = product[WORD:]
            out.append(product[:WORD])
        highest = words[len(out) * WORD :].as_signed()
        return Cat(*out, (highest * power + above)[: len(highest) + WORD]).as_signed()


class PostProcessor(wiring.Component):
    """Hold, channel records, residual and lanes.

    Members
    -------
    layer : descriptor, stable while the layer runs
    capture, totals : takes the array's totals in this cycle; of a pool, the first ``min(ich, och)``
        channels of each pixel
    tile_last, half : of the tile that is captured, see `hiddenite.rtl.window.Step`
    last_issued : the window has issued the last step of a pixel tile
    pool_next : `pool_period` less a cycle after the last step of a pool's pixel tile
    slot_free : the window may issue it
    load_residual, word, pixels : takes a word of the residual of the pixel tile that is captured
        next; its part of the tile's channels comes first
    record_write, record_channel, record_half, record : writes a word of a channel record; which of
        its words it is, one bit each
    released : the tile's channel records and weights are no longer needed
    advance : outputs are taken in this cycle
    valid, outputs : ``post_lanes`` outputs of 32 bits
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "layer": In(LayerDescriptor(c)),
                "capture": In(1),
                "totals": In(c.banks * c.och * c.accumulator_bits),
                "tile_last": In(1),
                "half": In(1),
                "last_issued": In(1),
                "pool_next": In(1),
                "slot_free": Out(1),
                "load_residual": In(1),
                "word": In(ceil_log2(c.och // c.unit)),
                "pixels": In(c.banks * c.ich * 8),
                "record_write": In(words_of(ChannelRecord(c), c.program_bits)),
                "record_channel": In(ceil_log2(c.och)),
                "record_half": In(1),
                "record": In(c.program_bits),
                "released": Out(1),
                "advance": In(1),
                "valid": Out(1),
                "outputs": Out(32 * c.post_lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, layer = self.c, self.layer
        lanes, bits = c.post_lanes, c.accumulator_bits
        conv = layer.operation == Operation.CONV
        array_beats = c.banks * c.och // lanes
        pool_beats = c.banks * c.unit // lanes

        hold = Signal(c.banks * c.och * bits, reset_less=True)
        # All zero after each layer, since a conv shifts out all that it loads: a pool has none.
        residuals = Signal(c.banks * c.och * 8)
        left = Signal(range(array_beats + 1))
        beat = Signal(range(max(2, c.och // lanes)))
        tile_last, half, pending = Signal(), Signal(), Signal()

        # A sum that is on its way needs the hold when it arrives, not before; an output that may
        # have to wait for the result stream makes that time unknown.
        arrives = 2 + c.read_latency + Mux(layer.residual, 0, c.array_latency)
        early = Mux(layer.to_result, 0, arrives)
        m.d.comb += self.slot_free.eq(~pending & (left <= early))
        with m.If(Mux(conv | layer.to_result, self.capture, self.pool_next)):
            m.d.sync += pending.eq(0)
        with m.If(self.last_issued):
            m.d.sync += pending.eq(1)

        pop = Signal()
        m.d.comb += [
            pop.eq(self.advance & (left != 0)),
            self.released.eq(pop & (left == 1) & tile_last & conv),
        ]
        with m.If(pop):
            m.d.sync += [
                hold.eq(hold >> (lanes * bits)),
                residuals.eq(residuals >> (lanes * 8)),
                left.eq(left - 1),
                beat.eq(beat + 1),
            ]
            if c.och // lanes == 1:
                m.d.sync += beat.eq(0)
        captured = self.totals
        if c.banks > 1 and c.och > c.unit:
            pixels = [captured.word_select(i, c.och * bits) for i in range(c.banks)]
            pooled = Cat(pixel[: c.unit * bits] for pixel in pixels)
            captured = Mux(conv, captured, Cat(pooled, captured[len(pooled) :]))
        with m.If(self.capture):
            m.d.sync += [
                hold.eq(captured),
                left.eq(Mux(conv, array_beats, pool_beats)),
                tile_last.eq(self.tile_last),
                half.eq(self.half),
                beat.eq(0),
            ]

        # A word of the residual holds a unit, or several, of the tile's channels.
        for pixel in range(c.banks):
            word = self.pixels.word_select(pixel, 8 * c.ich)
            for index in range(c.och // c.unit):
                target = residuals.word_select(pixel * (c.och // c.unit) + index, 8 * c.unit)
                with m.If(self.load_residual & (self.word == index)):
                    m.d.sync += target.eq(word[: 8 * c.unit])

        # Channel records: one memory for each lane, two halves in turn. The one that belongs to the
        # first of the hold is read while that gets there.
        depth = max(2, 2 * c.och // lanes)
        following, read_half = Signal.like(beat), Signal()
        m.d.comb += [
            following.eq(Mux(self.capture, 0, beat + pop)),
            read_half.eq(Mux(self.capture, self.half, half)),
        ]
        layout = ChannelRecord(c)
        record_bits = words_of(layout, c.program_bits) * c.program_bits
        valid = [Signal(name=f"valid_{i}") for i in range(LATENCY)]
        with m.If(self.advance):
            m.d.sync += [v.eq(u) for v, u in zip(valid, [pop, *valid], strict=False)]
        for number in range(lanes):
            memory = shared_memory(record_bits, depth, granularity=c.program_bits)
            m.submodules[f"records_{number}"] = memory
            records = memory.ports
            own = self.record_channel[: ceil_log2(lanes)] == number if lanes > 1 else 1
            entry = self.record_channel[ceil_log2(lanes) :]
            record = Signal(layout, name=f"record_{number}")
            total = hold.word_select(number, bits)
            residual = residuals.word_select(number, 8)
            m.submodules[f"lane_{number}"] = shared = SharedModule(
                "post_lane", PostLane, bits, c.bias_bits, c.shifter
            )
            lane = shared.ports
            m.d.comb += [
                records.write.eq(Mux(own, self.record_write, 0)),
                records.write_address.eq(Cat(entry, self.record_half)),
                records.write_data.eq(self.record.replicate(record_bits // c.program_bits)),
                records.read_address.eq(Cat(following[: ceil_log2(c.och // lanes)], read_half)),
                record.eq(records.read_data),
                lane.advance.eq(self.advance),
                lane.total.eq(total),
                lane.conv.eq(conv),
                lane.bias.eq(record.bias),
                lane.scale.eq(Mux(conv, record.scale, layer.scale[:16].as_signed())),
                lane.residual.eq(residual),
                lane.residual_scale.eq(layer.scale),
                lane.shift.eq(layer.shift),
                lane.shift_far.eq(layer.far),
                lane.int32.eq(layer.signed),
                self.outputs.word_select(number, 32).eq(lane.output),
            ]
        m.d.comb += self.valid.eq(valid[-1])
        return m
