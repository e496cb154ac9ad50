import dataclasses
import random

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, join, late, output_of, simulate, split

from hiddenite.rtl.activations.window import operand_latency
from hiddenite.rtl.array.timing import activation_skew, channel_delays, pixel_delays
from hiddenite.rtl.output.post_processor import PostProcessor
from hiddenite.rtl.output.timing import capture_latency, pool_period
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
        # Sums on their way, each with the cycle in which it arrives; when a pool may go on.
        self.coming, self.pool_nexts = [], []
        # Words that activation memory gives, cycle by cycle; those of this cycle if they matter.
        self.words, self.word = [], None

    def begin_layer(self, ctx, operation, residual, to_result):
        rng = self.rng
        self.conv, self.residual, self.to_result = operation == Operation.CONV, residual, to_result
        # Most outputs lie between 0 and 255, so that each bit shows.
        self.fields = {
            "operation": operation,
            "to_result": to_result,
            "signed": self.conv and to_result,
            "residual": residual,
            "shift": 8 if self.conv else POOL_BITS - 1,
            "far": False,
            "scale": rng.randrange(1, 256) if residual or not self.conv else 0,
        }
        ctx.set(self.dut.layer, self.fields)

    async def take(self, ctx):
        """The store: always takes what goes to memory, and stalls for the result stream."""
        dut, c = self.dut, self.c
        quiet = 0
        while not self.finished or quiet < 20:
            ctx.set(dut.outputs.advance, not self.to_result or self.rng.random() < 0.6)
            taken = c.pipelining or ctx.get(dut.outputs.advance)
            if taken and ctx.get(dut.outputs.valid):
                words = split(ctx.get(dut.outputs.values), 32, c.post_lanes)
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
            layout = ChannelRecord(c)
            record = layout.const(dict(zip(("bias", "scale"), values, strict=True)))
            count = words_of(layout, c.program_bits)
            for at, word in enumerate(split(record.as_value().value, c.program_bits, count)):
                port = self.dut.records
                ctx.set(port.channel, channel)
                ctx.set(port.half, half)
                ctx.set(port.data, word)
                await self.pulse(ctx, port.words, 1 << at)

    def random_totals(self):
        """Totals of a pixel tile; of a pool, channels count of which there is a PE's input."""
        c, rng = self.c, self.rng
        count = c.banks * c.och
        if not self.conv:
            totals = [rng.getrandbits(POOL_BITS) for _ in range(count)]
            return totals, [t for i, t in enumerate(totals) if i % c.och < c.unit]
        middle = 1 << c.accumulator_bits - 1
        totals = [middle + rng.randrange(-1024, 1024) for _ in range(count)]
        return totals, totals

    def expect(self, totals, residual):
        fields = self.fields
        for i, total in enumerate(totals):
            bias, scale, added = 0, fields["scale"], 0
            if self.conv:
                bias, scale = self.bias[i % self.c.och], self.scale[i % self.c.och]
            if self.residual:
                added = residual[i]
            how = fields["scale"], fields["shift"] + 1, fields["signed"]
            self.expected.append(output_of(total, bias, scale, added, *how))

    async def tile_of_channels(self, ctx, half, pixel_tiles):
        c, dut = self.c, self.dut
        if self.conv:
            await self.write_records(ctx, half)
        for number in range(pixel_tiles):
            residual = await self.load_residual(ctx) if self.residual else None
            # The window takes a slot in the cycle in which there is one.
            while not ctx.get(dut.slot_free):
                await ctx.tick()
            totals, counting = self.random_totals()
            self.expect(counting, residual)
            captured = {
                "totals": join(totals, c.accumulator_bits),
                "tile_last": number == pixel_tiles - 1,
                "half": half,
            }
            # From the issue of the last step: its register, the memory's, the adders.
            now = self.cycle + 1
            first = capture_latency(c)
            self.coming.append((now + first, captured))
            self.pool_nexts.append(now + pool_period(c) - 1)
            await self.pulse(ctx, dut.pixel_tile.issued)
        while self.coming:
            await ctx.tick()

    async def arrive(self, ctx):
        """Sums arrive a fixed time after their last step, several on their way or not."""
        c, dut, width = self.c, self.dut, self.c.accumulator_bits
        delays = [late + own for late in pixel_delays(c) for own in channel_delays(c)]
        # Of the cycles before, the latest first. Totals stand there for their own cycle only.
        recent = [None] * (1 + max(delays))
        while not self.finished:
            ctx.set(dut.pool_next, self.cycle in self.pool_nexts)
            recent = [None, *recent[:-1]]
            if self.coming and self.coming[0][0] == self.cycle:
                _, captured = self.coming.pop(0)
                recent[0] = split(captured.pop("totals"), width, len(delays))
                for name, value in captured.items():
                    ctx.set(getattr(dut.pixel_tile, name), value)
            own = [recent[late] for late in delays]
            totals = [
                self.rng.getrandbits(width) if tile is None else tile[index]
                for index, tile in enumerate(own)
            ]
            ctx.set(dut.sums.totals, join(totals, width))
            self.words = [*self.words[-c.ich :], self.word or self.random_word()]
            self.word = None
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
        for word in range(c.och // c.unit):
            await ctx.tick().until(dut.slot_free)
            await ctx.tick().repeat(operand_latency(c) - 1)
            self.word = self.random_word()
            pixels = np.reshape(self.word, (c.banks, c.ich))
            residual[:, word * c.unit : (word + 1) * c.unit] = pixels[:, : c.unit]
            await self.pulse(ctx, self.dut.load_residual, 1 << word)
        return residual.reshape(-1).tolist()

    async def give(self, ctx):
        for layer in LAYERS:
            self.begin_layer(ctx, *layer)
            releases = self.releases
            for _ in range(3):
                await self.tile_of_channels(ctx, self.half, pixel_tiles=3)
                self.half ^= self.conv
            # The descriptor stays until all outputs are taken.
            while len(self.found) < len(self.expected):
                await ctx.tick()
            assert self.found == self.expected
            assert self.releases - releases == (3 if self.conv else 0)
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


@pytest.mark.parametrize(
    "c", [*CONFIGURATIONS.values(), FEW_POOLED, FAR], ids=[*CONFIGURATIONS, "few_pooled", "far"]
)
def test_outputs_of_many_layers(c):
    """All outputs in order: channel fastest, then column, then row, then pixel tile."""
    bench = Bench(c, 1)
    simulate(bench.dut, bench.give, bench.take, bench.arrive)
    assert bench.found == bench.expected
    between = sum(0 < output < 255 for output in bench.expected)
    assert between > len(bench.expected) // 4
