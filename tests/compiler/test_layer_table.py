import numpy as np
import pytest
from rtl_helpers import (
    CONFIGURATIONS,
    compiled,
    layer_descriptor,
    layer_tables,
    network_of,
    random_conv,
    table_words,
)

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.network import Add, AvgPool, Concat, MaxPool, Upsample
from hiddenite.rtl.program.layer_table import LayerDescriptor, TablePart
from hiddenite.rtl.program.packets import Operation


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_parts_of_tables(name):
    """Each layer's opcode says which rows of its table there are: those of the loops it has."""
    c = CONFIGURATIONS[name]
    rng = np.random.default_rng(1)
    # The second reads planes; the third and the last one have one pixel tile.
    first = random_conv(rng, 3, c.och + 1, name="first")
    second = MaxPool(name="second", input="first", kernel=2)
    third = MaxPool(name="third", input="second", kernel=4)
    last = random_conv(rng, c.och + 1, c.och, name="last", input="third")
    network = network_of((8, 8, 3), first, second, third, last)
    for batch in {1, c.largest_batch}:
        program = compile_network(network, c, batch=batch)
        images = TablePart.IMAGES * (batch > 1)
        planes = TablePart.PLANES * (c.banks > 1)
        walk, tiles = TablePart.PIXEL_TILES, TablePart.TILES
        found = [opcode for opcode, _ in layer_tables(program)]
        expected = 0, planes | walk | tiles, planes | walk | tiles, tiles, 0
        assert [opcode & ~7 for opcode in found] == [parts | images for parts in expected]
        assert program.table_words == [table_words(c, opcode) for opcode in found]


def test_types_of_layers():
    """What is read, added and made has the type of its tensor, whatever makes it."""
    c = CONFIGURATIONS["square"]  # ich is 4
    conv = random_conv(np.random.default_rng(1), 3, 3, name="conv", output="int8",
                       residual="image", residual_scale=1)  # fmt: skip
    program = compiled(
        (4, 6, 3),
        conv,
        Concat(name="concat", inputs=["conv", "conv"]),
        Upsample(name="upsample", input="concat", factor=(1, 2)),
        AvgPool(name="mean", input="upsample", kernel=(2, 3), scale=1, shift=1),
        Add(name="add", input="mean", scale=1, residual="mean", residual_scale=1, shift=1),
        c=c,
    )
    # Whether source, residual and output are int8, the output int32, and what is summed up.
    expected = {
        ("image", Operation.LOAD): (0, 0, 0, 0, 0),
        ("conv", Operation.CONV): (0, 0, 1, 0, 0),
        ("conv", Operation.MAX_POOL): (1, 0, 1, 0, 1),
        ("concat", Operation.CONV): (1, 0, 1, 0, 0),
        ("upsample", Operation.MAX_POOL): (1, 0, 1, 0, 1),
        ("mean", Operation.AVG_POOL): (1, 0, 1, 0, 6),
        ("add", Operation.AVG_POOL): (1, 1, 0, 0, 1),
    }
    found = {}
    for stage, (_, words) in zip(program.stages, layer_tables(program), strict=True):
        layer = layer_descriptor(words, c)
        taps = -layer.less_taps % (1 << LayerDescriptor(c)["less_taps"].width)
        types = layer.source_int8, layer.residual_int8, layer.int8, layer.int32
        assert found.setdefault((stage.name, stage.operation), (*types, taps)) == (*types, taps)
    assert found == expected
