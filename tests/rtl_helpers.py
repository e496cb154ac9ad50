"""What tests of single blocks share: configurations, simulation, streams, descriptors."""

import re
import zlib

import numpy as np
from amaranth.sim import Simulator

from hiddenite.compiler import memory_plan
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.network import Conv, Input, Network
from hiddenite.golden.weights import KEY_CHANNEL, channel_key, signs
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.layer_table import LayerDescriptor, LayerTable
from hiddenite.rtl.program.packets import (
    NARROW,
    ChannelRecord,
    ConstructionDescriptor,
    Opcode,
    Operation,
    words_of,
)

# Of the addresses, a few at the end have no words.
_SMALL = {"activation_words": 1008, "tile_words": 64}

CONFIGURATIONS = {
    "single": Configuration(
        ich=1, och=1, activation_ports=1, mask_decoder="serial", **_SMALL
    ),
    "tall": Configuration(
        ich=1, och=4, rows=4, constructor_lanes=2, program_bits=16, activation_ports=1,
        pipelining=1, bias_bits=24, mask_decoder="serial", **_SMALL
    ),
    "square": Configuration(
        ich=4, och=4, rows=2, cols=2, constructor_lanes=4, post_lanes=4, program_bits=64,
        array="flip", post_pixels=2, **_SMALL
    ),
    "more_och": Configuration(
        ich=2, och=8, cols=4, constructor_lanes=1, post_lanes=2, accumulator_bits=18,
        array="chain", pipelining=2, **_SMALL
    ),
    "more_ich": Configuration(
        ich=8, och=2, rows=2, constructor_lanes=2, program_bits=32, array="combinational",
        pipelining=3, **_SMALL,
    ),
    "wide": Configuration(
        ich=8, och=4, cols=4, constructor_lanes=1, post_lanes=4, program_bits=16, array="chain",
        pipelining=2, post_pixels=2, largest_batch=2, **_SMALL,
    ),
}  # fmt: skip
"""Every special case of a size occurs: 1, och above and below ich, rows unlike columns, all builds
of the array and of the decoder, one and two ports, every pipelining, every program width, one pixel
to a beat of outputs or several."""

INT32 = -(1 << 31), (1 << 31) - 1
"""Lowest and highest result of 32 bits."""

RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int32": INT32}
"""Lowest and highest number of each type of output."""


def output_of(acc, bias, scale, residual, residual_scale, shift, kind):
    """The network's arithmetic, in unbounded integers; ``shift`` is the network's."""
    value = (acc + bias) * scale + residual * residual_scale
    rounded = (value + (1 << shift - 1)) >> shift
    low, high = RANGES[kind]
    return min(max(rounded, low), high)


def simulate(component, *benches, limit=50_000):
    """Run test benches, coroutine functions of a context, until all have returned.

    Raises
    ------
    TimeoutError
        After ``limit`` cycles.
    """

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    edges = 0
    while simulator.advance():
        edges += 1
        if edges > 2 * limit:
            raise TimeoutError(f"{type(component).__name__}: not done after {limit} cycles")


async def idle(ctx, rng, chance):
    """Wait a random number of cycles; none with a chance of 0."""
    while rng is not None and rng.random() < chance:
        await ctx.tick()


async def send(ctx, port, payloads, rng=None, chance=0.4):
    """Send payloads into a stream, with random gaps if there is an ``rng``."""
    for payload in payloads:
        await idle(ctx, rng, chance)
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)


async def receive(ctx, port, count, rng=None, chance=0.4):
    """Return so many payloads from a stream, with random stalls if there is an ``rng``."""
    payloads = []
    for _ in range(count):
        await idle(ctx, rng, chance)
        ctx.set(port.ready, 1)
        (payload,) = await ctx.tick().sample(port.payload).until(port.valid)
        ctx.set(port.ready, 0)
        payloads.append(payload)
    return payloads


def integers(words):
    """Words of a NumPy array as Python's integers, which Amaranth takes."""
    return [int(word) for word in words]


def split(value, width, count):
    """A value's ``count`` fields of ``width`` bits, the lowest first."""
    return [value >> i * width & ((1 << width) - 1) for i in range(count)]


def join(values, width):
    """The value whose fields of ``width`` bits, the lowest first, are these."""
    return sum((int(v) & ((1 << width) - 1)) << i * width for i, v in enumerate(values))


def late(rows, skew):
    """Row whose item i is that of so many rows ago as ``skew``, again and again, has for it.

    Where there was no row yet, and in rows that are None, items are None.
    """
    width = len(next(row for row in rows if row is not None))
    rows = [[None] * width if row is None else row for row in rows]
    nothing = [[None] * width] * max(skew)
    rows = [*nothing, *rows]
    return [rows[-1 - skew[i % len(skew)]][i] for i in range(width)]


def relative(signs):
    """A word's signs as an array of the build "flip" takes them, straight from its diagram."""
    pairs = {
        1: {},
        2: {},
        4: {0: 1, 2: 1, 3: 1},
        8: {0: 1, 2: 1, 1: 3, 4: 5, 6: 5, 7: 5, 5: 3},
    }[min(len(signs), 8)]
    return [
        int(sign) ^ (int(signs[i // 8 * 8 + pairs[i % 8]]) if i % 8 in pairs else 0)
        for i, sign in enumerate(signs)
    ]


def random_conv(
    rng, channels, out_channels, kernel=(1, 1), density=0.4, *, learned=False, **fields
):
    """A conv called "conv" of the image with a random mask; random signs if they are learned."""
    fields = {
        "name": "conv",
        "input": "image",
        "index": 3,
        "mask": rng.random((out_channels, *kernel, channels)) < density,
        "scale": rng.integers(-3000, 3000, out_channels).astype(np.int16),
        "bias": rng.integers(-200, 200, out_channels).astype(np.int32),
        "shift": 8,
    } | fields
    if learned:
        fields["sign"] = fields["mask"] & (rng.random(fields["mask"].shape) < 0.5)
    return Conv(out_channels=out_channels, kernel=kernel, **fields)


def network_of(shape, *layers, seed=11, kind="uint8"):
    """A network whose image has this shape and type."""
    image = Input(name="image", height=shape[0], width=shape[1], channels=shape[2], type=kind)
    return Network(name="test", seed=seed, input=image, layers=layers)


def compiled(shape, *layers, c, kind="uint8"):
    """The program of such a network."""
    return compile_network(network_of(shape, *layers, kind=kind), c)


def place_behind(monkeypatch, address):
    """Let the compiler place all tensors from this address on, in place of 0."""
    place = memory_plan.place
    monkeypatch.setattr(memory_plan, "place", lambda blocks: [address + a for a in place(blocks)])


def packets(program):
    """The packets of a program without their CRCs, the header first."""
    c, words = program.configuration, integers(program.words)
    construction = words_of(ConstructionDescriptor(c), c.program_bits)
    mask_words, at, out = iter(program.mask_words), 0, []

    def take(size):
        nonlocal at
        out.append(words[at : at + size])
        at += size + max(1, 32 // c.program_bits)

    take(max(1, 32 // c.program_bits))
    for stage in program.stages:
        conv = stage.operation == Operation.CONV
        layer = table_words(c, words[at])
        take(1 + conv * (max(1, 32 // c.program_bits) + construction) + layer)
        for first in range(0, stage.shape[2] if conv else 0, c.och):
            records = record_words(c, min(c.och, stage.shape[2] - first), words[at])
            take(1 + records + next(mask_words))
    take(1)
    assert at == len(words)
    return out


def table_words(c, opcode):
    """Words of the layer table of a packet with this opcode."""
    table = LayerTable(c)
    own = (len(rows) for part, rows in table.parts.items() if opcode & part)
    return table.columns * (table.always + sum(own))


def record_words(c, channels, opcode):
    """Words of the channel records of a tile with this opcode."""
    if opcode & NARROW:
        return -(-channels * 32 // c.program_bits)
    return channels * words_of(ChannelRecord(c), c.program_bits)


def bias_of_narrow(bits):
    """Bias of which a narrow record has these 16 bits."""
    return bits if bits < 8192 else bits - 65536


LAYERS, TILES = (Opcode.LAYER, Opcode.CONV), (Opcode.TILE, Opcode.LAST_TILE)


def kind_of(opcode):
    """What an opcode is besides the form of records or parts of a table."""
    return opcode & 7


def close(parts, c):
    """Packets with their CRCs, each over all that came before and zeros in place of CRCs."""
    size, before, out = c.program_bits // 8, b"", []
    for part in parts:
        before += b"".join(word.to_bytes(size, "little") for word in part)
        crc = []
        for _ in range(max(1, 32 // c.program_bits)):
            crc.append(zlib.crc32(before, c.fingerprint) & ((1 << c.program_bits) - 1))
            before += bytes(size)
        out.append(part + crc)
    return out


def layer_tables(program):
    """Layer tables of a program, as words, each with its opcode."""
    c = program.configuration
    tables = [part for part in packets(program)[1:-1] if kind_of(part[0]) in LAYERS]
    return [(part[0], part[-table_words(c, part[0]) :]) for part in tables]


def layer_descriptor(words, c):
    """The descriptor in a layer table."""
    table, layout = LayerTable(c), LayerDescriptor(c)
    rows = split(join(words, c.program_bits), table.columns * c.program_bits, table.descriptor_rows)
    value = join([row >> c.address_bits for row in rows], table.descriptor_bits)
    return layout.from_bits(value & ((1 << layout.size) - 1))


async def load_layer(ctx, tables, opcode, words):
    """Write a layer's table to a layer memory and load its descriptor."""
    for number, part in enumerate(LayerTable(tables.c).parts):
        ctx.set(tables.parts[number], bool(opcode & part))
    await send(ctx, tables.words, words)
    ctx.set(tables.commit, 1)
    await ctx.tick()
    ctx.set(tables.commit, 0)
    assert not ctx.get(tables.empty)
    ctx.set(tables.load, 1)
    await ctx.tick().until(tables.loaded)
    ctx.set(tables.load, 0)


def word_of_pixel(placed, y, x, group):
    """Bank and address of a pixel's word, straight from the description of the planes.

    A view has the words of the tensor that it is a view of.
    """
    layout, c = placed.layout, placed.layout.configuration
    whole, every = layout, [1, 1]
    while whole.within is not None:
        every = [own * more for own, more in zip(every, whole.every, strict=True)]
        whole = whole.within
    height, width = whole.rows
    words, plane, rows, banks = height * width * whole.groups, 0, [], []
    for axis, (position, number) in enumerate(zip((y, x), (c.rows, c.cols), strict=True)):
        phases = layout.phases[axis]
        q, phase = divmod(position, phases)
        if not layout.form.first_only[axis]:
            plane = plane * phases + phase
        rows.append(q // number)
        banks.append(q % number)
    row = rows[0] * every[0] * width + rows[1] * every[1]
    return *banks, placed.address + plane * words + row * whole.groups + group


def is_kept(layout, y, x):
    """Whether a pixel lies in a plane that there is."""
    axes = zip((y, x), layout.phases, layout.form.first_only, strict=True)
    return not any(only and position % phases for position, phases, only in axes)


def construction_fields(c, mask, code):
    """Fields of a conv's `ConstructionDescriptor`, straight from their description."""
    out_channels, height, width, channels = mask.shape
    groups = -(-channels // c.ich)
    return {
        "parameter": code.parameter,
        "signed": code.signed,
        "segments_last": width - 1,
        "word_before_last": (groups - 2) % (1 << c.group_bits),
        "tail_last": (channels - 1) % c.ich,
        "tile_words": height * width * groups,
        "channels_last": (out_channels - 1) % c.och,
    }


def key_words(c, seed, index):
    """Words of a layer's key."""
    bits = min(32, c.program_bits)
    key = int(channel_key(seed, index, 0)) - c.constructor_lanes * KEY_CHANNEL
    return split(key, bits, 32 // bits)


def weight_words(c, mask, sign, seed, index):
    """Words of masks and signs of each output channel as the tile buffer has them.

    ``sign`` is None where signs are generated.
    """
    negative = signs(seed, index, mask.shape) < 0 if sign is None else sign
    fill = [(0, 0)] * 3 + [(0, -mask.shape[3] % c.ich)]
    kept, negative = (np.pad(bits, fill) for bits in (mask, mask & negative))
    return [
        [
            join(m, 1) | join(s, 1) << c.ich
            for m, s in zip(own.reshape(-1, c.ich), its.reshape(-1, c.ich), strict=True)
        ]
        for own, its in zip(kept, negative, strict=True)
    ]


CONV_SHAPES = [
    (3, 1, 1, 1),
    (9, 3, 3, 3),
    (5, 2, 5, 7),
    (4, 1, 1, 33),
    (17, 1, 3, 2),
    (2, 3, 1, 16),
    (6, 3, 2, 5),
    (3, 2, 2, 16),
]
"""Shapes of masks (O, KH, KW, C) that fill words, sign words and tiles in every way."""


def random_masks(rng, c, count=8):
    """Masks of convs, sparse and dense, empty and full, that fit a configuration."""
    densities = rng.permutation([0.0, 0.02, 0.1, 0.3, 0.5, 0.9, 1.0, 0.3])
    masks = [rng.random(s) < d for s, d in zip(CONV_SHAPES, densities, strict=True)]
    fits = [m for m in masks if m.shape[1] * m.shape[2] * -(-m.shape[3] // c.ich) < c.tile_words]
    return [fits[i] for i in rng.permutation(len(fits))[:count]]


def random_layers(rng, c):
    """Masks of convs as above, each with signs of its own or None, in every code that there is."""
    masks = random_masks(rng, c)
    masks += [np.ones(shape, bool) for shape in ((9, 1, 2, 5), (5, 1, 1, 33))]
    masks += [rng.random((5, 1, 2, 21)) < density for density in (0, 0.3)]
    learned = rng.permutation(2 * [False, True] + [bool(n % 2) for n in range(len(masks) - 4)])
    layers = [
        (mask, mask & (rng.random(mask.shape) < 0.5) if signed else None)
        for mask, signed in zip(masks, learned, strict=True)
    ]
    return [layers[i] for i in rng.permutation(len(layers))]


def with_lower_limit(verilog):
    """An engine's Verilog that never gives 255."""
    broken, count = re.subn(
        r"assign low_byte = (.*);",
        r"wire [7:0] right = \1;\n  assign low_byte = right - (right == 8'd255);",
        verilog,
    )
    assert count == 1
    return broken
