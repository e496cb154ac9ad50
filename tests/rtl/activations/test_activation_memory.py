import random

import pytest
from rtl_helpers import CONFIGURATIONS, join, late, simulate, split

from hiddenite.rtl.activations.activation_memory import ActivationMemory, memory_latency
from hiddenite.rtl.array.timing import activation_skew


class Bench:
    """The memory with a model of its banks: bank (row, column) and address to a list of bytes."""

    def __init__(self, c, seed):
        self.c, self.rng = c, random.Random(seed)
        self.dut = ActivationMemory(c)
        self.bytes = {}
        self.due = []
        self.outside = 0

    def check(self, ctx):
        """Compare the pixels with the windows that are due; None is one that nothing comes of."""
        c = self.c
        windows = self.due[: max(0, len(self.due) - memory_latency(c) + 1)]
        if any(window is not None for window in windows):
            expected = late(windows, activation_skew(c))
            found = split(ctx.get(self.dut.pixels), 8, c.banks * c.ich)
            assert all(e in (None, f) for e, f in zip(expected, found, strict=True))

    def set_write(self, ctx, row, col, address, part, choice=range(256)):
        """Write random bytes in this cycle; the parts that are not written get others."""
        c, dut, rng = self.c, self.dut, self.rng
        data = [rng.choice(choice) for _ in range(c.post_pixels * c.ich)]
        word = self.bytes.setdefault((row, col, address), [None] * c.ich)
        own = slice(part * c.unit, (part + 1) * c.unit)
        word[own] = data[col % c.post_pixels * c.ich :][own]
        ctx.set(dut.write.enable, 1)
        ctx.set(dut.write.bank_y, row)
        ctx.set(dut.write.columns, 1 << col)
        ctx.set(dut.write.address, address)
        ctx.set(dut.write.data, join(data, 8))
        ctx.set(dut.write.parts, 1 << part)

    async def fill(self, ctx, addresses, choice=range(256), steps=(1, 1)):
        """Write all words up to an address; from a row of banks to the next it goes on by steps."""
        c, self.steps = self.c, steps
        ctx.set(self.dut.row_step_y, steps[0])
        ctx.set(self.dut.row_step_x, steps[1])
        places = [
            (row, col, address, part)
            for row in range(c.rows)
            for col in range(c.cols)
            for address in range(addresses)
            for part in range(c.ich // c.unit)
        ]
        self.rng.shuffle(places)
        for place in places:
            self.set_write(ctx, *place, choice)
            await ctx.tick()
        ctx.set(self.dut.write.enable, 0)

    def set_window(self, ctx, address, bank, rows, cols, part=0):
        """Ask for a window; return the pixels that must come."""
        c, dut = self.c, self.dut
        for port, value in zip(
            (dut.read.address, dut.read.bank_y, dut.read.bank_x), (address, *bank), strict=True
        ):
            ctx.set(port, value)
        ctx.set(dut.read.rows, join(rows, 1))
        ctx.set(dut.read.cols, join(cols, 1))
        ctx.set(dut.read.step.part, part)
        ctx.set(dut.read.step.valid, 1)
        pixels = []
        for row in range(c.rows):
            for col in range(c.cols):
                over_y, bank_y = divmod(bank[0] + row, c.rows)
                over_x, bank_x = divmod(bank[1] + col, c.cols)
                at = address + over_y * self.steps[0] + over_x * self.steps[1]
                word = list(self.bytes[bank_y, bank_x, at % (1 << c.address_bits)])
                word[: c.unit] = word[part * c.unit : (part + 1) * c.unit]
                pixels += word if rows[row] and cols[col] else [self.outside] * c.ich
        return list(pixels)


@pytest.mark.parametrize("outside", [0, 128])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_windows_at_every_offset(name, outside):
    """Any window has its pixels in order, those outside the map are zero, a window a cycle.

    The part that is asked for comes first.
    """
    c = CONFIGURATIONS[name]
    bench = Bench(c, name)
    rng, depth = bench.rng, 24
    bench.outside = outside

    async def run(ctx):
        ctx.set(bench.dut.int8, outside == 128)
        steps = rng.randrange(1, 8), rng.randrange(1, 8)
        await bench.fill(ctx, depth, steps=steps)
        offsets = [(y, x) for y in range(c.rows) for x in range(c.cols)]
        for bank in offsets * (60 // len(offsets)):
            rows = [rng.random() < 0.8 for _ in range(c.rows)]
            cols = [rng.random() < 0.8 for _ in range(c.cols)]
            address = rng.randrange(depth - sum(steps))
            part = rng.randrange(c.ich // c.unit)
            bench.due.append(bench.set_window(ctx, address, bank, rows, cols, part))
            await ctx.tick()
            bench.check(ctx)

    simulate(bench.dut, run)


def test_addresses_wrap_around():
    """A window that begins before the map has a negative address; only its pixels inside count."""
    c = CONFIGURATIONS["square"]
    bench = Bench(c, 2)
    before = (1 << c.address_bits) - 3
    assert before > c.activation_words

    async def run(ctx):
        await bench.fill(ctx, 8, steps=(4, 4))
        for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
            bench.bytes[y, x, before] = [None] * c.ich
        inside = [False, True]
        due = bench.set_window(ctx, before, (1, 1), inside, inside)
        await ctx.tick().repeat(memory_latency(c))
        assert split(ctx.get(bench.dut.pixels), 8, c.banks * c.ich) == due

    simulate(bench.dut, run)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_reads_beside_writes(name):
    """With two ports a read and a write elsewhere do not touch; with one the read waits."""
    c = CONFIGURATIONS[name]
    bench = Bench(c, name)
    rng = bench.rng

    async def run(ctx):
        await bench.fill(ctx, 16)
        for _ in range(100):
            ctx.set(bench.dut.write.enable, 0)
            writes = rng.random() < 0.4
            bank = rng.randrange(c.rows), rng.randrange(c.cols)
            flags = [True] * c.rows, [True] * c.cols
            bench.due.append(bench.set_window(ctx, rng.randrange(8), bank, *flags))
            if writes:
                target = rng.randrange(c.rows), rng.randrange(c.cols), rng.randrange(12, 16)
                bench.set_write(ctx, *target, rng.randrange(c.ich // c.unit))
                if c.activation_ports == 1:
                    bench.due[-1] = None
            await ctx.tick()
            bench.check(ctx)

    simulate(bench.dut, run)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_maximum_of_windows(name):
    """The first unit of each pixel is the largest since the first window; nothing else counts.

    Between the windows come cycles that load nothing, whatever is read in them.
    """
    c = CONFIGURATIONS[name]
    bench = Bench(c, name)
    rng, dut, depth = bench.rng, bench.dut, 16
    latency = memory_latency(c) + max(activation_skew(c))

    def random_window(ctx):
        bank = rng.randrange(c.rows), rng.randrange(c.cols)
        rows = [rng.random() < 0.8 for _ in range(c.rows)]
        cols = [rng.random() < 0.8 for _ in range(c.cols)]
        part = rng.randrange(c.ich // c.unit)
        return bench.set_window(ctx, rng.randrange(depth - 2), bank, rows, cols, part)

    async def run(ctx):
        await bench.fill(ctx, depth, (0, 1, 127, 128, 129, 254, 255))
        ctx.set(dut.maximum, 1)
        for _ in range(25):
            largest = None
            for number in range(rng.randrange(1, 7)):
                ctx.set(dut.read.step.first, number == 0)
                pixels = random_window(ctx)
                await ctx.tick()
                largest = [max(pair) for pair in zip(largest or pixels, pixels, strict=True)]
                while rng.random() < 0.4:
                    random_window(ctx)
                    ctx.set(dut.read.step.first, rng.randrange(2))
                    ctx.set(dut.read.step.valid, 0)
                    await ctx.tick()
            ctx.set(dut.read.step.valid, 0)
            await ctx.tick().repeat(latency)
            found = split(ctx.get(dut.pixels), 8, c.banks * c.ich)
            for pixel in range(c.banks):
                own = slice(pixel * c.ich, pixel * c.ich + c.unit)
                assert found[own] == largest[own]
        # And afterwards every window counts again.
        ctx.set(dut.maximum, 0)
        for _ in range(5):
            due = random_window(ctx)
            await ctx.tick().repeat(latency)
            assert split(ctx.get(dut.pixels), 8, c.banks * c.ich) == due

    simulate(dut, run)
