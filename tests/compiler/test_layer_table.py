import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, layer_tables, network_of, random_conv, table_words

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.network import MaxPool
from hiddenite.rtl.program.layer_table import TablePart


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
