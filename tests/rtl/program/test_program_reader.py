import random

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from rtl_helpers import (
    CONFIGURATIONS,
    LAYERS,
    TILES,
    bias_of_narrow,
    close,
    compiled,
    join,
    kind_of,
    layer_tables,
    packets,
    random_conv,
    simulate,
    split,
)

from hiddenite.golden.network import MaxPool
from hiddenite.golden.weights import signs
from hiddenite.rtl.masks.constructor import Constructor
from hiddenite.rtl.program.layer_table import LayerTable, TablePart
from hiddenite.rtl.program.packets import NARROW, ChannelRecord, ErrorCode, Opcode
from hiddenite.rtl.program.program_reader import ProgramReader

SEED = 11

WIDTHS = ["more_och", "more_ich", "square"]
"""Configurations of 8, 32 and 64 program bits."""


def small_program(c):
    """A pool and two convs, the second of two tiles, of which one has narrow records.

    Returns the convs and the program.
    """
    rng = np.random.default_rng(1)
    pool = MaxPool(name="pool", input="image", kernel=1)
    first = random_conv(rng, 3, 2, (1, 2), name="first", input="pool")
    bias = rng.integers(-200, 200, c.och + 1).astype(np.int32)
    bias[0] = 40_000
    second = random_conv(rng, 2, c.och + 1, name="second", input="first", bias=bias)
    return (first, second), compiled((2, 2, 3), pool, first, second, c=c)


class Bench:
    """A reader with its constructor, whose tiles are released as soon as they are right."""

    def __init__(self, c, seed=0, stalls=True):
        self.c, self.rng, self.stalls = c, random.Random(seed), stalls
        self.dut, self.constructor, self.reset = ProgramReader(c), Constructor(c), Signal()
        self.clear()

    def clear(self):
        self.layers, self.records, self.record = [], [], []
        self.layer_commits = self.tile_commits = 0
        self.error = ErrorCode.NONE

    def run(self, bench):
        m = Module()
        m.submodules.reader, m.submodules.constructor = r, k = self.dut, self.constructor
        wiring.connect(m, r.construction, k.i)
        m.d.comb += k.release.eq(r.construction.commit_tile)
        # Where a layer's words end is known by who takes them.
        table, number, size = LayerTable(self.c), Signal(16), Signal(16)
        own = zip(r.layer_parts, table.parts.values(), strict=True)
        rows = table.always + sum(there * len(rows) for there, rows in own)
        m.d.comb += [size.eq(table.columns * rows), r.layers_end.eq(number + 1 == size)]
        with m.If(r.layers.valid & r.layers.ready):
            m.d.sync += number.eq(Mux(r.layers_end, 0, number + 1))
        simulate(ResetInserter(self.reset)(m), bench)

    async def cycle(self, ctx):
        """One cycle; keeps what comes out; returns whether a word was taken."""
        dut = self.dut
        ctx.set(dut.layers.ready, not self.stalls or self.rng.random() < 0.7)
        ctx.set(dut.quiet, not self.stalls or self.rng.random() < 0.1)
        ctx.set(dut.stop, self.error != ErrorCode.NONE)
        if ctx.get(dut.layers.valid) and ctx.get(dut.layers.ready):
            self.layers.append(ctx.get(dut.layers.payload))
        if ctx.get(dut.records.words):
            assert ctx.get(dut.records.words) == 1 << len(self.record)
            self.record.append(ctx.get(dut.records.data))
            self.take_record(ctx, self.c.program_bits, len(dut.records.words))
        self.layer_commits += ctx.get(dut.layer_commit)
        self.tile_commits += ctx.get(dut.construction.commit_tile)
        taken = ctx.get(dut.i.valid) and ctx.get(dut.i.ready)
        if self.error == ErrorCode.NONE:
            self.error = ctx.get(dut.error)
        await ctx.tick()
        return taken

    def take_record(self, ctx, bits, size):
        """Keep the channel records that the words up to now are, if they are whole ones."""
        port, layout = self.dut.records, ChannelRecord(self.c)
        value, count = join(self.record, bits), len(self.record)
        half, channel = ctx.get(port.half), ctx.get(port.channel)
        if ctx.get(port.narrow):
            if count == max(1, 32 // bits):
                own = range(channel, channel + max(1, bits // 32))
                for at, part in zip(own, split(value, 32, len(own)), strict=True):
                    if at <= ctx.get(self.dut.construction.channels_last):
                        scale = (part & 0xFFFF ^ 0x8000) - 0x8000
                        self.records.append((half, at, bias_of_narrow(part >> 16), scale))
                self.record = []
        elif count == size:
            record = layout.from_bits(value & ((1 << layout.size) - 1))
            self.records.append((half, channel, record.bias, record.scale))
            self.record = []

    async def give(self, ctx, words, last=None):
        """Send words, ``last`` with one of them (the last one), until an error."""
        last = len(words) - 1 if last is None else last
        for number, word in enumerate(words):
            taken = False
            while not taken and self.error == ErrorCode.NONE:
                ctx.set(self.dut.i.valid, not self.stalls or self.rng.random() < 0.8)
                ctx.set(self.dut.i.payload, {"data": word, "last": number == last})
                taken = await self.cycle(ctx)
        ctx.set(self.dut.i.valid, 0)

    async def idle(self, ctx, cycles):
        for _ in range(cycles):
            await self.cycle(ctx)

    async def refused(self, ctx, what, words, *codes, commits=None, last=None):
        """A program ends in one of these errors, which only a reset leaves."""
        await self.give(ctx, words, last)
        await self.idle(ctx, 3)
        assert self.error in codes, what
        found = self.layer_commits, self.tile_commits
        assert commits in (None, found), what
        ctx.set(self.dut.i.valid, 1)
        await self.idle(ctx, 30)
        assert not ctx.get(self.dut.i.ready) and ctx.get(self.dut.running), what
        assert (self.layer_commits, self.tile_commits) == found, what
        ctx.set(self.dut.i.valid, 0)
        ctx.set(self.reset, 1)
        await ctx.tick()
        ctx.set(self.reset, 0)
        self.clear()

    async def accepted(self, ctx, program):
        """A program runs to its end."""
        before = self.tile_commits
        await self.give(ctx, program.words.tolist())
        while ctx.get(self.dut.running):
            await self.cycle(ctx)
        assert self.error == ErrorCode.NONE
        assert self.tile_commits == before + len(program.mask_words)


def expected_records(conv, c, half):
    """What the post-processor needs of each channel: the bias makes up for negative weights."""
    negative = (conv.mask & (signs(SEED, conv.index, conv.mask.shape) < 0)).sum((1, 2, 3))
    return [
        ((half + o // c.och) % 2, o % c.och, conv.bias[o] - 255 * negative[o], conv.scale[o])
        for o in range(conv.out_channels)
    ]


def sent(parts, c):
    return [word for part in close(parts, c) for word in part]


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_program_twice(name, stalls):
    c = CONFIGURATIONS[name]
    (first, second), program = small_program(c)
    assert sent(packets(program), c) == program.words.tolist()
    bench = Bench(c, 1, stalls)
    tiles = len(program.mask_words)

    async def run(ctx):
        for times in (1, 2):
            assert not ctx.get(bench.dut.running)
            await bench.give(ctx, program.words.tolist()[:1], last=-1)
            assert ctx.get(bench.dut.running)
            await bench.give(ctx, program.words.tolist()[1:])
            while ctx.get(bench.dut.running):
                await bench.cycle(ctx)
            assert bench.layer_commits == 4 * times
            assert bench.tile_commits == tiles * times

    bench.run(run)
    assert bench.error == ErrorCode.NONE
    layers = [words for _, words in layer_tables(program)]
    assert bench.layers == [word for words in layers * 2 for word in words]
    once = len(bench.records) // 2
    starts = 0, -(-2 // c.och)
    for first_half, records in ((0, bench.records[:once]), (tiles, bench.records[once:])):
        assert records == [
            record
            for conv, start in zip((first, second), starts, strict=True)
            for record in expected_records(conv, c, first_half + start)
        ]


def flip(parts, word, bit):
    parts[0][word] ^= 1 << bit
    return parts


def with_opcode(parts, packet, opcode):
    parts[packet][0] = opcode
    return parts


# What is done to a program's packets before their CRCs are computed, the error that must follow,
# and the number of the packet that is refused.
WRONG_PACKETS = {
    "magic": (lambda p, c: flip(p, 0, 7), ErrorCode.MAGIC, 0),
    "end of the magic": (lambda p, c: flip(p, -1, c.program_bits - 1), ErrorCode.MAGIC, 0),
    "opcode 0": (lambda p, c: with_opcode(p, 1, 0), ErrorCode.OPCODE, 1),
    "opcode 1": (lambda p, c: with_opcode(p, 2, 1), ErrorCode.OPCODE, 2),
    "opcode 7": (lambda p, c: with_opcode(p, 2, 7), ErrorCode.OPCODE, 2),
    "narrow layer": (lambda p, c: with_opcode(p, 1, NARROW | Opcode.LAYER), ErrorCode.OPCODE, 1),
    "narrow end": (lambda p, c: with_opcode(p, -1, NARROW | Opcode.END), ErrorCode.OPCODE, 8),
    "part that no layer has": (
        lambda p, c: with_opcode(p, 1, TablePart.IMAGES | Opcode.LAYER), ErrorCode.OPCODE, 1
    ),
    "tile with parts": (
        lambda p, c: with_opcode(p, 4, TablePart.TILES | Opcode.TILE), ErrorCode.OPCODE, 4
    ),
    "tile without a conv": (lambda p, c: with_opcode(p, 2, Opcode.TILE), ErrorCode.OPCODE, 2),
    "layer before the tiles": (lambda p, c: with_opcode(p, 4, Opcode.LAYER), ErrorCode.OPCODE, 4),
    "end before the tiles": (lambda p, c: [*p[:4], [Opcode.END]], ErrorCode.OPCODE, 4),
    "conv before the tiles": (lambda p, c: [*p[:4], *p[3:]], ErrorCode.OPCODE, 4),
    "no end": (lambda p, c: p[:-1], ErrorCode.TRUNCATED, None),
    "something behind the end": (lambda p, c: [*p, p[-1]], ErrorCode.TRAILING, None),
}  # fmt: skip


def commits_before(parts, packet):
    """Layers and tiles that are right when a packet is refused."""
    kinds = [kind_of(part[0]) for part in parts[1:packet]] if packet else []
    return sum(kind in LAYERS for kind in kinds), sum(kind in TILES for kind in kinds)


@pytest.mark.parametrize("name", WIDTHS)
def test_wrong_packets(name):
    c = CONFIGURATIONS[name]
    _, program = small_program(c)
    bench = Bench(c, 3)

    async def run(ctx):
        for what, (change, code, packet) in WRONG_PACKETS.items():
            words = sent(change(packets(program), c), c)
            commits = None if packet is None else commits_before(packets(program), packet)
            await bench.refused(ctx, what, words, code, commits=commits)
        await bench.accepted(ctx, program)

    bench.run(run)


@pytest.mark.parametrize("name", WIDTHS)
def test_a_flipped_bit(name):
    """In a packet's last word, or its CRC: it is refused, and nothing of it is committed."""
    c = CONFIGURATIONS[name]
    _, program = small_program(c)
    parts, rng = packets(program), random.Random(4)
    bench = Bench(c, 3)

    async def run(ctx):
        end = 0
        for number, (part, closed) in enumerate(zip(parts, close(parts, c), strict=True)):
            inside, end = end + len(part) - 1, end + len(closed)
            commits = commits_before(parts, number)
            words = program.words.tolist()
            words[end - 1] ^= 1 << rng.randrange(min(32, c.program_bits))
            code = ErrorCode.CHECKSUM if number else ErrorCode.CONFIGURATION
            await bench.refused(ctx, f"CRC {number}", words, code, commits=commits)
            words = program.words.tolist()
            words[inside] ^= 1 << rng.randrange(c.program_bits)
            # A wrong mask takes more words or fewer: anything may then stand where the CRC should.
            codes = ErrorCode.CHECKSUM, ErrorCode.TRUNCATED
            if number == 0:
                codes = (ErrorCode.MAGIC,)
            if number == len(parts) - 1:
                codes = (ErrorCode.OPCODE,)
            await bench.refused(ctx, f"packet {number}", words, *codes, commits=commits)
        await bench.accepted(ctx, program)

    bench.run(run)


@pytest.mark.parametrize("name", WIDTHS)
def test_a_packet_that_is_missing_or_comes_twice(name):
    """Each is right in itself, and could stand where it is: the CRC of the next one is wrong."""
    c = CONFIGURATIONS[name]
    _, program = small_program(c)
    parts = close(packets(program), c)
    bench = Bench(c, 3)
    codes = ErrorCode.CHECKSUM, ErrorCode.OPCODE, ErrorCode.TRUNCATED

    async def run(ctx):
        for number in range(1, len(parts) - 1):
            for what, times in ("missing", 0), ("twice", 2):
                changed = [*parts[:number], *[parts[number]] * times, *parts[number + 1 :]]
                words = [word for part in changed for word in part]
                await bench.refused(ctx, f"packet {number} {what}", words, *codes)
        await bench.accepted(ctx, program)

    bench.run(run)


@pytest.mark.parametrize("name", WIDTHS)
def test_last_in_the_wrong_place(name):
    c = CONFIGURATIONS[name]
    _, program = small_program(c)
    words = program.words.tolist()
    bench = Bench(c, 3)

    async def run(ctx):
        for last in (0, 1, len(words) // 3, len(words) // 2, len(words) - 2):
            await bench.refused(ctx, last, words[: last + 1], ErrorCode.TRUNCATED)
            await bench.refused(ctx, last, words, ErrorCode.TRUNCATED, last=last)
        await bench.refused(ctx, "no last", words, ErrorCode.TRAILING, last=-1)
        await bench.accepted(ctx, program)

    bench.run(run)
