import dataclasses

import numpy as np
import pytest
from rtl_helpers import (
    CONFIGURATIONS,
    TILES,
    close,
    compiled,
    construction_fields,
    join,
    key_words,
    kind_of,
    layer_descriptor,
    network_of,
    packets,
    random_conv,
    table_words,
)

from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.mask_stream import MaskStream
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import AvgPool, Concat, MaxPool, Upsample
from hiddenite.rtl.program.packets import (
    MAGIC,
    ConstructionDescriptor,
    Opcode,
    words_of,
)

C = dataclasses.replace(CONFIGURATIONS["square"], array="tree")


def convs():
    rng = np.random.default_rng(1)
    first = random_conv(rng, 3, 9, (2, 3), index=65_535, name="first")
    second = {"name": "second", "input": "first", "output": "int32"}
    return first, random_conv(rng, 9, 5, **second, learned=True)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_packets(name):
    c = CONFIGURATIONS[name]
    first, second = convs()
    program = compiled((5, 6, 3), first, second, c=c)
    parts = packets(program)
    assert [w for part in close(parts, c) for w in part] == program.words.tolist()
    assert join(parts[0], c.program_bits) == MAGIC
    tiles = [-(-conv.out_channels // c.och) for conv in (first, second)]
    assert [kind_of(part[0]) for part in parts[1:]] == [
        Opcode.LAYER,
        *(Opcode.CONV, *[Opcode.TILE] * (tiles[0] - 1), Opcode.LAST_TILE),
        *(Opcode.CONV, *[Opcode.TILE] * (tiles[1] - 1), Opcode.LAST_TILE),
        Opcode.END,
    ]
    stream = MaskStream(c)
    codes = [stream.add(conv.mask, conv.sign)[0] for conv in (first, second)]
    words = [part for part in parts[1:-1] if kind_of(part[0]) in TILES]
    for part, masks in zip(words, stream.words(), strict=True):
        assert part[len(part) - len(masks) :] == masks.tolist()
    assert program.mask_bits == sum(map(len, stream.words())) * c.program_bits
    for part, conv, code in zip(
        [p for p in parts[1:] if kind_of(p[0]) == Opcode.CONV], (first, second), codes, strict=True
    ):
        layout = ConstructionDescriptor(c)
        key = key_words(c, 11, conv.index)
        assert part[1 : 1 + len(key)] == key
        begin = 1 + len(key)
        value = join(part[begin : begin + words_of(layout, c.program_bits)], c.program_bits)
        fields = construction_fields(c, conv.mask, code)
        assert value == layout.const(fields).as_value().value
        layer = layer_descriptor(part[-table_words(c, part[0]) :], c)
        assert layer.large_tiles == (fields["tile_words"] >= c.tile_words // 2)
        assert layer.tiles_last == -(-conv.out_channels // c.och) - 1
        assert (layer.int32, layer.to_result) == ((1, 1) if conv is second else (0, 0))
        assert layer.shift == conv.shift - 1


def test_what_a_program_says_of_itself():
    first, second = convs()
    program = compiled((5, 6, 3), first, second, c=C)
    assert program.configuration is C
    assert (program.input_shape, program.result_shape) == ((5, 6, 3), (4, 4, 5))
    assert program.result_type == "int32"
    assert program.weights == first.mask.size + second.mask.size
    entropy = 0
    for conv in (first, second):
        density = conv.mask.mean()
        entropy -= conv.mask.size * sum(p * np.log2(p) for p in (density, 1 - density))
    # The second one's signs are learned.
    assert program.mask_entropy == pytest.approx(entropy + second.mask.sum())
    # Image 5x6, 1 group: 3x3 words; its output 4x4, 3 groups: 12.
    assert program.memory.used == 9 + 12


def test_empty_and_full_masks_have_no_entropy():
    for density in (0, 1):
        conv = random_conv(np.random.default_rng(1), 3, 4, density=density)
        assert compiled((2, 2, 3), conv, c=C).mask_entropy == 0
        conv = random_conv(np.random.default_rng(1), 3, 4, density=density, learned=True)
        assert compiled((2, 2, 3), conv, c=C).mask_entropy == 12 * density


def test_a_program_depends_on_nothing_but_network_and_configuration():
    first, second = convs()
    network = network_of((5, 6, 3), first, second)
    words = compile_network(network, C).words
    assert (compile_network(network, C).words == words).all()
    same = dataclasses.replace(C, activation_ports=1, array="combinational", timeout_cycles=1)
    assert (compile_network(network, same).words == words).all()
    other = compile_network(dataclasses.replace(network, seed=12), C).words
    assert len(other) == len(words) and (other != words).any()


def fully_kept(channels, kernel=(1, 1), **fields):
    return random_conv(np.random.default_rng(1), channels, 3, kernel, density=1, **fields)


def half_empty():
    """A conv of which only the second output channel keeps all of its 17 weights."""
    mask = np.zeros((3, 1, 1, 17), bool)
    mask[1] = True
    return fully_kept(17, mask=mask)


def causal(far):
    """A conv that sees what came so long before."""
    fields = {"dilation": (1, far), "padding": (0, far, 0, 0)}
    return random_conv(np.random.default_rng(1), 1, 1, (1, 2), **fields)


def average(kernel, **fields):
    return AvgPool(name="mean", input="image", kernel=kernel, scale=1, shift=1, **fields)


@pytest.mark.parametrize(
    ("changes", "shape", "layer", "message"),
    [
        (
            {"activation_words": 16},
            (9, 8, 4),
            MaxPool(name="p", input="image", kernel=2),
            # Stored in four planes of 5x4 pixels: 3x2 words each.
            "tensor 'image': activation memory: needs 24 words in each bank, has 16: "
            "raise activation_words",
        ),
        (
            {"tile_words": 16},
            (2, 4, 5),
            fully_kept(5, (2, 4)),
            "layer 'conv': tile buffer: needs 16 words for each output channel, has 15: "
            "raise tile_words",
        ),
        (
            {"accumulator_bits": 12},
            (1, 1, 17),
            half_empty(),
            "layer 'conv': accumulator: 17 weights kept in output channel 1 need 13 bits, has 12: "
            "raise accumulator_bits",
        ),
        (
            {"accumulator_bits": 12},
            (4, 5, 1),
            average((4, 5)),
            "layer 'mean': accumulator: the sum of 4x5 needs 13 bits, has 12: "
            "raise accumulator_bits",
        ),
        (
            # WindowAxis of the padding add nothing.
            {"accumulator_bits": 12},
            (1, 17, 1),
            average((5, 17), padding=(2, 8)),
            "layer 'mean': accumulator: the sum of 1x17 needs 13 bits, has 12: "
            "raise accumulator_bits",
        ),
        (
            {"bias_bits": 16},
            (13, 13, 1),
            average((13, 13)),
            "layer 'mean': bias: the sum of 13x13 needs 17 bits, has 16: raise bias_bits",
        ),
        (
            {"largest_map": 32},
            (33, 1, 1),
            MaxPool(name="p", input="image", kernel=1),
            "tensor 'image': height is 33, the most that this configuration counts to is 32: "
            "raise largest_map",
        ),
        (
            {"largest_map": 16},
            (1, 16, 1),
            MaxPool(name="p", input="image", kernel=(1, 2), stride=1, padding=(0, 1)),
            "layer 'p': width is 17, the most that this configuration counts to is 16: "
            "raise largest_map",
        ),
        (
            {"largest_map": 64, "largest_kernel": 8},
            (1, 64, 1),
            causal(65),
            "layer 'conv': width with the padding of dilated taps is 129, the most that this "
            "configuration counts to is 128: raise largest_map",
        ),
        (
            {"largest_kernel": 4},
            (4, 5, 1),
            MaxPool(name="p", input="image", kernel=(4, 5)),
            "layer 'p': kernel width is 5, the most that this configuration counts to is 4: "
            "raise largest_kernel",
        ),
        (
            {"largest_stride": 2},
            (4, 4, 1),
            MaxPool(name="p", input="image", kernel=1, stride=(3, 2)),
            "layer 'p': vertical stride is 3, the most that this configuration counts to is 2: "
            "raise largest_stride",
        ),
        (
            {"largest_channels": 64},
            (1, 1, 65),
            MaxPool(name="p", input="image", kernel=1),
            "tensor 'image': number of channels is 65, the most that this configuration counts to "
            "is 64: raise largest_channels",
        ),
    ],
)
def test_a_network_that_is_too_large_is_refused(changes, shape, layer, message):
    """The message names the memory, what it needs, what it has, and the parameter to raise."""
    c = dataclasses.replace(C, **changes)
    with pytest.raises(InputError) as caught:
        compiled(shape, layer, c=c)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "shape", "layer", "message"),
    [
        (
            # 17 numbers from -128 to 127, and 68 zeros of the padding, each stored as 128 more.
            {"accumulator_bits": 13},
            (1, 17, 1),
            average((5, 17), padding=(2, 8)),
            "layer 'mean': accumulator: the sum of 1x17 needs 14 bits, has 13: "
            "raise accumulator_bits",
        ),
        (
            {"bias_bits": 16},
            (16, 17, 1),
            average((16, 17)),
            "layer 'mean': bias: the sum of 16x17 needs 17 bits, has 16: raise bias_bits",
        ),
    ],
)
def test_int8_that_is_too_large_is_refused(changes, shape, layer, message):
    c = dataclasses.replace(C, **changes)
    with pytest.raises(InputError) as caught:
        compiled(shape, layer, c=c, kind="int8")
    assert str(caught.value) == message


def test_sums_of_int8_that_just_fit():
    for changes, shape, layer in (
        ({"accumulator_bits": 14}, (1, 17, 1), average((5, 17), padding=(2, 8))),
        ({"bias_bits": 16}, (16, 16, 1), average((16, 16))),
    ):
        compiled(shape, layer, c=dataclasses.replace(C, **changes), kind="int8")


def test_what_several_stages_make_may_be_too_large():
    """Each of them is not."""
    c = dataclasses.replace(C, largest_channels=64, largest_map=16)
    for layer, shape, kernel, message in (
        (Concat(name="x", inputs=["image", "image"]), (1, 1, 40), 1,
         "number of input channels is 80, the most that this configuration counts to is 64: "
         "raise largest_channels"),
        (Upsample(name="x", input="image", factor=(1, 2)), (1, 9, 1), (1, 3),
         "input width is 18, the most that this configuration counts to is 16: raise largest_map"),
    ):  # fmt: skip
        reader = MaxPool(name="p", input="x", kernel=kernel, stride=1)
        with pytest.raises(InputError) as caught:
            compiled(shape, layer, reader, c=c)
        assert str(caught.value) == f"layer 'p': {message}"


@pytest.mark.parametrize(
    ("changes", "shape", "layer"),
    [
        ({"tile_words": 16}, (3, 5, 4), fully_kept(4, (3, 5))),
        ({"accumulator_bits": 12}, (1, 1, 16), fully_kept(16)),
        ({"accumulator_bits": 12}, (4, 4, 1), average((4, 4))),
        ({"accumulator_bits": 12}, (1, 2, 1), average((9, 9), padding=(4, 4))),
        ({"bias_bits": 16}, (16, 8, 1), average((16, 8))),
        ({"activation_words": 16}, (8, 8, 4), MaxPool(name="p", input="image", kernel=8)),
        ({"largest_map": 32}, (32, 32, 1), MaxPool(name="p", input="image", kernel=1)),
        ({"largest_kernel": 4}, (4, 4, 1), MaxPool(name="p", input="image", kernel=4)),
        ({"largest_map": 64, "largest_kernel": 8}, (1, 64, 1), causal(64)),
        ({"largest_stride": 2}, (3, 3, 1), MaxPool(name="p", input="image", kernel=1, stride=2)),
        ({"largest_stride": 2}, (3, 3, 1), MaxPool(name="p", input="image", kernel=3)),
        ({"largest_channels": 64}, (1, 1, 64), MaxPool(name="p", input="image", kernel=1)),
    ],
)
def test_what_fits_exactly_is_not_refused(changes, shape, layer):
    compiled(shape, layer, c=dataclasses.replace(C, **changes))


def test_more_weights_than_a_program_is_for(monkeypatch):
    first, second = convs()
    weights = first.mask.size + second.mask.size
    monkeypatch.setattr("hiddenite.compiler.compile.MAX_WEIGHTS", weights)
    compiled((5, 6, 3), first, second, c=C)
    monkeypatch.setattr("hiddenite.compiler.compile.MAX_WEIGHTS", weights - 1)
    with pytest.raises(InputError) as caught:
        compiled((5, 6, 3), first, second, c=C)
    assert str(caught.value).endswith(
        f"weights of all layers must be at most {weights - 1} to be compiled, not {weights}"
    )
