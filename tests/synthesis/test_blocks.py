import pytest

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS
from hiddenite.synthesis.blocks import find_block, list_blocks

TINY = PRESETS["tiny"]


@pytest.fixture(scope="module")
def verilog(engines):
    return engines.verilog(TINY)


def test_blocks_have_the_names_of_the_documentation(verilog):
    blocks = list_blocks(verilog, TINY)
    names = [block.name for block in blocks]
    assert names[0] == "engine" and len(set(names)) == len(names)
    assert set(names) >= {
        "activation-memory", "array", "constructor", "constructor.lane-1",
        "post-processor", "program-reader", "store", "tables", "tile-buffer", "window",
    }  # fmt: skip
    assert all(
        f"module \\{b.module} " in verilog or f"module {b.module}" in verilog for b in blocks
    )


def test_processing_elements(verilog):
    found = {block.name: block.processing_elements for block in list_blocks(verilog, TINY)}
    assert found["engine"] == found["array"] == TINY.processing_elements
    assert found["window"] == found["store"] == 0


def test_parts_of_the_array_share_its_processing_elements():
    text = (
        "module hiddenite(clk);\n  \\hiddenite.array$7  array (\n  );\nendmodule\n"
        "module \\hiddenite.array$7 (clk);\n"
        "  hiddenite_lane lane_0 (\n  );\n  hiddenite_lane lane_1 (\n  );\n"
        "endmodule\nmodule hiddenite_lane(clk);\nendmodule\n"
    )
    assert [(b.name, b.processing_elements) for b in list_blocks(text, TINY)] == [
        ("engine", 64), ("array", 64), ("lane", 32)
    ]  # fmt: skip


def test_unknown_block_is_answered_with_those_there_are(verilog):
    assert find_block("window", verilog, TINY).module.startswith("hiddenite.window")
    with pytest.raises(InputError) as caught:
        find_block("windows", verilog, TINY)
    message = str(caught.value)
    first = "engine, activation-memory, activation-memory.slice-0, array, "
    assert message.startswith(f"block must be one of {first}")
    assert message.endswith(", window, not 'windows'")
    # Of lanes that are all alike, one is enough.
    assert "constructor.lane-0," in message and "lane-1" not in message
