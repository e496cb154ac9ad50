import dataclasses
import random
from itertools import combinations

import pytest
from rtl_helpers import CONFIGURATIONS, join, layer_descriptor, send, simulate

from hiddenite.rtl.program.layer_memory import SLOTS, LayerMemory, load_cycles
from hiddenite.rtl.program.layer_table import Increment, LayerTable, TablePart

BATCH = {name: dataclasses.replace(c, largest_batch=4) for name, c in CONFIGURATIONS.items()}


def every_choice(parts):
    """Every set of these parts."""
    sets = (own for size in range(len(parts) + 1) for own in combinations(parts, size))
    return [TablePart(sum(own)) for own in sets]


class Bench:
    def __init__(self, c):
        self.c, self.dut, self.table = c, LayerMemory(c), LayerTable(c)
        self.rng = random.Random(5)

    async def write(self, ctx, parts):
        """Write a random table with these parts; returns its words, row by row."""
        dut, table, c = self.dut, self.table, self.c
        for number, part in enumerate(table.parts):
            ctx.set(dut.parts[number], part in parts)
        words = {}
        for row in table.rows_of(parts):
            words[row] = [self.rng.getrandbits(c.program_bits) for _ in range(table.columns)]
        rows = list(words)
        for row, own in words.items():
            for column, word in enumerate(own):
                last = (row, column) == (rows[-1], table.columns - 1)
                assert ctx.get(dut.word_last) == last, (row, column)
                await send(ctx, dut.words, [word])
        ctx.set(dut.commit, 1)
        await ctx.tick()
        ctx.set(dut.commit, 0)
        return words

    async def check(self, ctx, words):
        """Load a table, and read all its rows as the window and the store do."""
        dut, table, c = self.dut, self.table, self.c
        values = {row: join(own, c.program_bits) for row, own in words.items()}
        ctx.set(dut.load, 1)
        cycles = 1
        while not ctx.get(dut.loaded):
            await ctx.tick()
            cycles += 1
        assert cycles == load_cycles(c)
        await ctx.tick()
        ctx.set(dut.load, 0)
        increment, size = Increment(c), Increment(c).size

        def above(row):
            return increment.from_bits(values[row] >> c.address_bits & ((1 << size) - 1))

        assert ctx.get(dut.window.increment) == above(table.descriptor_rows)
        if c.pipelining > 1:
            await ctx.tick().repeat(2)
        descriptor = [word for row in range(table.descriptor_rows) for word in words[row]]
        for port in dut.layer, dut.other_layer:
            assert ctx.get(port) == layer_descriptor(descriptor, c)
        low = (1 << c.address_bits) - 1
        for row in words:
            ctx.set(dut.window.enable, 1)
            ctx.set(dut.window.row, row)
            ctx.set(dut.store.row, row)
            await ctx.tick()
            ctx.set(dut.window.enable, 0)
            assert ctx.get(dut.window.increment) == above(row)
            assert ctx.get(dut.window.residual) == values[row] & low
            assert ctx.get(dut.store.increment) == values[row] & low


@pytest.mark.parametrize("name", BATCH)
def test_tables_with_all_sets_of_parts(name):
    """Each is written while others wait; rows that it does without may have those of another."""
    bench = Bench(BATCH[name])

    async def run(ctx):
        waiting = []
        for parts in every_choice(list(bench.table.parts)):
            waiting.append(await bench.write(ctx, parts))
            while len(waiting) == SLOTS or (bench.rng.random() < 0.3 and waiting):
                assert not ctx.get(bench.dut.empty)
                await bench.check(ctx, waiting.pop(0))
                ctx.set(bench.dut.done, 1)
                await ctx.tick()
                ctx.set(bench.dut.done, 0)
            assert ctx.get(bench.dut.words.ready) and ctx.get(bench.dut.empty) == (not waiting)

    simulate(bench.dut, run)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_parts_that_a_configuration_has(name):
    c = CONFIGURATIONS[name]
    expected = {TablePart.PIXEL_TILES, TablePart.TILES}
    expected |= {TablePart.PLANES} if c.banks > 1 else set()
    expected |= {TablePart.IMAGES} if c.largest_batch > 1 else set()
    assert set(LayerTable(c).parts) == expected
