import dataclasses

import pytest
from rtl_helpers import CONFIGURATIONS, bias_of_narrow, join, simulate, split

from hiddenite.rtl.output.record_memory import RecordMemory
from hiddenite.rtl.program.packets import ChannelRecord, has_narrow_records, words_of

WIDTHS = [
    dataclasses.replace(CONFIGURATIONS[name], bias_bits=bias_bits)
    for name in CONFIGURATIONS
    for bias_bits in (17, 20, 34)
]

SCALES = [0, 1, -1, 127, 128, -128, -129, 255, 256, 32_767, -32_768]


def edges(bits):
    """Biases of so many bits at their limits, and at those of fewer bits."""
    powers = [1 << n for n in range(bits - 1)]
    found = {near for p in powers for near in (p - 1, p, -p, -p - 1)} | {0, 8191, 8192, -57344}
    most = 1 << bits - 1
    return sorted(bias for bias in found if -most <= bias < most)


class Bench:
    """Writes records as the program reader does, and reads all of a half."""

    def __init__(self, c):
        self.c, self.dut = c, RecordMemory(c)

    async def write(self, ctx, half, records, narrow):
        bits, port = self.c.program_bits, self.dut.write
        ctx.set(port.half, half)
        ctx.set(port.narrow, narrow)
        for channel, words in self.words(records, narrow):
            ctx.set(port.channel, channel)
            for at, word in enumerate(words):
                ctx.set(port.words, 1 << at)
                ctx.set(port.data, word)
                await ctx.tick()
        ctx.set(port.words, 0)
        ctx.set(port.data, (1 << bits) - 1)
        await ctx.tick().repeat(2)

    def words(self, records, narrow):
        """Each item of the program: the channel that it begins with, and its words."""
        bits, layout = self.c.program_bits, ChannelRecord(self.c)
        if not narrow:
            count = words_of(layout, bits)
            for channel, (bias, scale) in enumerate(records):
                value = layout.const({"bias": bias, "scale": scale}).as_value().value
                yield channel, split(value, bits, count)
            return
        together = max(1, bits // 32)
        for channel in range(0, len(records), together):
            parts = [join((scale, bias), 16) for bias, scale in records[channel:][:together]]
            yield channel, split(join(parts, 32), bits, max(1, 32 // bits))

    async def read(self, ctx, half, count):
        c, found = self.c, []
        ctx.set(self.dut.half, half)
        for beat in range(c.och // c.post_lanes):
            ctx.set(self.dut.beat, beat)
            await ctx.tick()
            for lane in range(c.post_lanes):
                record = ctx.get(self.dut.records[lane])
                found.append((record.bias, record.scale))
        return found[:count]


@pytest.mark.parametrize("c", WIDTHS, ids=lambda c: f"{c.program_bits}-{c.bias_bits}-{c.och}")
def test_extreme_records(c):
    """Each half keeps what was written last, whatever the other half has."""
    bench = Bench(c)
    narrow = [bias_of_narrow(bits) for bits in range(0, 1 << 16, 509)]
    narrow += [0, -1, 127, 128, -128, -129, 8191, -57344, -57343]

    async def run(ctx):
        there = {}
        for biases, form in ((edges(c.bias_bits), False), (narrow, True)) * 2:
            if form and not has_narrow_records(c):
                continue
            # The last tile of a layer may have an odd number of channels.
            size = c.och - (len(there) > 0 and c.och > 1)
            for number, first in enumerate(range(0, len(biases), size)):
                own = biases[first : first + size]
                records = [(b, SCALES[(b + number) % len(SCALES)]) for b in own]
                half = number % 2
                await bench.write(ctx, half, records, form)
                there[half] = records
                for other, wanted in there.items():
                    assert await bench.read(ctx, other, len(wanted)) == wanted

    simulate(bench.dut, run)
