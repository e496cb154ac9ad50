import dataclasses
import random
from itertools import product

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, join, late, output_of, simulate, split

from hiddenite.rtl.activations.window import operand_latency
from hiddenite.rtl.array.timing import activation_skew, channel_delays, pixel_delays
from hiddenite.rtl.output.post_processor import PostProcessor
from hiddenite.rtl.output.timing import capture_latency, output_beats
from hiddenite.rtl.program.layer_table import LayerDescriptor
from hiddenite.rtl.program.packets import ChannelRecord, Operation, words_of

POOL_BITS = 14


class Bench:
    """Gives the post-processor pixel tiles as window and array do, and takes its outputs."""

    def __init__(self, c, seed):
        self.c, self.rng = c, random.Random(seed)
        self.dut = PostProcessor(c)
        self.expected, self.found, self.releases = [], [], 0
        self.to_result = self.finished = False
        self.half = self.cycle = 0
        # Sums on their way, and words of residuals, each with the cycle in which it arrives.
        self.coming, self.loads = [], []
        # Words that activation memory gives, cycle by cycle.
        self.words = []
        self.most_on_way = 0

    def begin_layer(self, ctx, operation, residual, to_result, one_tile, strided):
        rng = self.rng
        self.conv, self.residual, self.to_result = operation == Operation.CONV, residual, to_result
        self.kind = kind = rng.choice(["uint8", "int8", *["int32"] * (self.conv and to_result)])
        self.share = self.c.och if self.conv else self.c.unit
        self.beats_last = rng.randrange(self.share // self.c.post_lanes)
        self.count = self.share
        # Pixels whose outputs come at once.
        self.together = 1 if strided or to_result else self.c.post_pixels
        if one_tile and self.c.pipelining:
            self.count = (self.beats_last + 1) * self.c.post_lanes
        # Most outputs lie between 0 and 255, so that each bit shows.
        self.fields = {
            "operation": operation,
            "to_result": to_result,
            "residual": residual,
            "int8": kind == "int8",
            "int32": kind == "int32",
            "residual_int8": residual and rng.randrange(2),
            "shift": 8 if self.conv else POOL_BITS - 1,
            "far": False,
            "scale": rng.randrange(1, 256) if residual or not self.conv else 0,
            "beats_last": self.beats_last,
            "tiles_last": int(not one_tile),
        }
        self.taps = 0
        if kind == "int8" and not self.conv:
            # So many that half of the sums are negative.
            self.taps = 1 << POOL_BITS - 8
            bits = LayerDescriptor(self.c)["less_taps"].width
            self.fields |= {"source_int8": 1, "less_taps": -self.taps % (1 << bits)}
        if self.c.cols > 1:
            self.fields["store_x"] = {"phases_last": strided}
        ctx.set(self.dut.layer, self.fields)

    async def take(self, ctx):
        """The store: always takes what goes to memory, and stalls for the result stream."""
        dut, c = self.dut, self.c
        quiet = 0
        while not self.finished or quiet < 20:
            ctx.set(dut.outputs.advance, not self.to_result or self.rng.random() < 0.6)
            taken = c.pipelining or ctx.get(dut.outputs.advance)
            if taken and ctx.get(dut.outputs.valid):
                words = split(ctx.get(dut.outputs.values), 32, self.together * c.post_lanes)
                self.found += [word - (word >> 31 << 32) for word in words]
            self.releases += ctx.get(dut.released)
            quiet = quiet + 1 if self.finished else 0
            await ctx.tick()

    async def pulse(self, ctx, strobe, what=1):
        ctx.set(strobe, what)
        await ctx.tick()
        ctx.set(strobe, 0)

    async def write_records(self, ctx, half):
        """Write the channel records of a conv's tile."""
        c, rng = self.c, self.rng
        middle = 1 << c.accumulator_bits - 1
        self.bias = [rng.randrange(-1024, 1024) - middle for _ in range(c.och)]
        self.scale = [rng.randrange(-64, 64) for _ in range(c.och)]
        for channel, values in enumerate(zip(self.bias, self.scale, strict=True)):
            record = ChannelRecord(c).const(dict(zip(("bias", "scale"), values, strict=True)))
            count = words_of(ChannelRecord(c), c.program_bits)
            for at, word in enumerate(split(record.as_value().value, c.program_bits, count)):
                port = self.dut.records
                ctx.set(port.channel, channel)
                ctx.set(port.half, half)
                ctx.set(port.data, word)
                await self.pulse(ctx, port.words, 1 << at)

    def random_totals(self):
        """Totals of a pixel tile."""
        c, rng = self.c, self.rng
        count = c.banks * c.och
        if not self.conv:
            return [rng.getrandbits(POOL_BITS) for _ in range(count)]
        middle = 1 << c.accumulator_bits - 1
        return [middle + rng.randrange(-1024, 1024) for _ in range(count)]

    def expect(self, totals, residual):
        """Of a pool, channels count of which there is a PE's input."""
        fields = self.fields
        for i, total in enumerate(totals):
            if i % self.c.och >= self.count:
                continue
            bias, scale, added = -128 * self.taps, fields["scale"], 0
            if self.conv:
                bias, scale = self.bias[i % self.c.och], self.scale[i % self.c.och]
            if self.residual:
                added = residual[i] - 128 * fields["residual_int8"]
            how = fields["scale"], fields["shift"] + 1, self.kind
            self.expected.append(output_of(total, bias, scale, added, *how))

    async def tile_of_channels(self, ctx, half, pixel_tiles):
        c, dut = self.c, self.dut
        if self.conv:
            await self.write_records(ctx, half)
        for number in range(pixel_tiles):
            await ctx.tick().repeat(self.rng.choice((1, 1, 1, 4)))
            residual = await self.load_residual(ctx) if self.residual else None
            # The window takes a slot in the cycle in which there is one.
            while not ctx.get(dut.slot_free):
                await ctx.tick()
            totals = self.random_totals()
            self.expect(totals, residual)
            self.coming.append((self.now + capture_latency(c), totals))
            self.most_on_way = max(self.most_on_way, len(self.coming))
            ctx.set(dut.pixel_tile.tile_last, number == pixel_tiles - 1)
            await self.pulse(ctx, dut.pixel_tile.issued)

    @property
    def now(self):
        """This cycle, for those who come before `arrive`."""
        return self.cycle + 1

    async def arrive(self, ctx):
        """Sums arrive a fixed time after their last step, several on their way or not."""
        c, dut, width = self.c, self.dut, self.c.accumulator_bits
        delays = [late + own for late in pixel_delays(c) for own in channel_delays(c)]
        # Of the cycles before, the latest first. Totals stand there for their own cycle only.
        recent = [None] * (1 + max(delays))
        while not self.finished:
            recent = [None, *recent[:-1]]
            if self.coming and self.coming[0][0] == self.cycle:
                _, recent[0] = self.coming.pop(0)
            own = [recent[late] for late in delays]
            totals = [
                self.rng.getrandbits(width) if tile is None else tile[index]
                for index, tile in enumerate(own)
            ]
            ctx.set(dut.sums.totals, join(totals, width))
            load, word = 0, self.random_word()
            if self.loads and self.loads[0][0] == self.cycle:
                _, load, word = self.loads.pop(0)
            ctx.set(dut.load_residual, load)
            self.words = [*self.words[-c.ich :], word]
            ctx.set(dut.pixels, join([v or 0 for v in late(self.words, activation_skew(c))], 8))
            captured = (recent[late] is not None for late in pixel_delays(c))
            ctx.set(dut.sums.done, join([int(bit) for bit in captured], 1))
            await ctx.tick()
            self.cycle += 1

    def random_word(self):
        return [self.rng.randrange(256) for _ in range(self.c.banks * self.c.ich)]

    async def load_residual(self, ctx):
        """Load a pixel tile's residual; return it, channel fastest."""
        c, dut = self.c, self.dut
        residual = np.zeros((c.banks, c.och), int)
        for index in range(c.och // c.unit):
            while not ctx.get(dut.residual_free):
                await ctx.tick()
            word = self.random_word()
            pixels = np.reshape(word, (c.banks, c.ich))
            residual[:, index * c.unit : (index + 1) * c.unit] = pixels[:, : c.unit]
            self.loads.append((self.now + operand_latency(c), 1 << index, word))
            await ctx.tick()
        return residual.reshape(-1).tolist()

    async def give(self, ctx):
        for layer, (tiles, strided) in product(LAYERS, ((1, 0), (2, 1), (3, 0))):
            self.begin_layer(ctx, *layer, one_tile=tiles == 1, strided=strided)
            await ctx.tick().repeat(2)
            releases = self.releases
            for tile in range(tiles):
                # A half's records are written when the tile before the last one has been released.
                while self.conv and self.releases - releases < tile - 1:
                    await ctx.tick()
                await self.tile_of_channels(ctx, self.half, 4)
                self.half ^= self.conv
            # The descriptor stays until all outputs are taken.
            while len(self.found) < len(self.expected):
                await ctx.tick()
            assert self.found == self.expected
            assert self.releases - releases == (tiles if self.conv else 0)
        self.finished = True


LAYERS = [
    # operation, residual, to the result stream
    (Operation.CONV, False, False),
    (Operation.AVG_POOL, False, False),
    (Operation.CONV, True, False),
    (Operation.MAX_POOL, False, True),
    (Operation.CONV, False, True),
    (Operation.CONV, True, True),
]


# One whose pool tiles have fewer outputs than a pixel of a conv has.
FAR = dataclasses.replace(CONFIGURATIONS["more_och"], och=32, pipelining=3)
FEW_POOLED = dataclasses.replace(CONFIGURATIONS["more_och"], cols=1)
# One whose bytes come one after the other to a residual that is not queued.
SKEWED = dataclasses.replace(CONFIGURATIONS["more_och"], pipelining=0)
# One whose pixels would go through the array at different times.
WIDER = dataclasses.replace(CONFIGURATIONS["wide"], post_pixels=4)


@pytest.mark.parametrize(
    "c",
    [*CONFIGURATIONS.values(), FEW_POOLED, FAR, SKEWED, WIDER],
    ids=[*CONFIGURATIONS, "few_pooled", "far", "skewed", "wider"],
)
def test_outputs_of_many_layers(c):
    """All outputs in order: channel fastest, then column, then row, then pixel tile."""
    bench = Bench(c, 1)
    simulate(bench.dut, bench.give, bench.take, bench.arrive)
    assert bench.found == bench.expected
    # Several pixel tiles are on their way where sums take longer than outputs.
    assert bench.most_on_way > (output_beats(c, conv=False) < capture_latency(c))
    between = sum(abs(output) not in (0, 127, 128, 255) for output in bench.expected)
    assert between > len(bench.expected) // 4
