from dataclasses import replace

import pytest

from hiddenite.rtl.configuration import PRESETS
from hiddenite.synthesis.parts import PARTS, MemoryBlock, memory_blocks


def test_blocks_of_one_memory():
    block = MemoryBlock(name="EBR", count=30, shapes=((256, 16), (512, 8)))
    assert block.needed(256, 16) == 1
    assert block.needed(257, 16) == 2
    assert block.needed(512, 8) == 1
    assert block.needed(512, 17) == 3


@pytest.mark.parametrize(
    ("name", "depth", "width", "blocks"),
    [("up5k", 12_288, 64, 4), ("up5k", 20_480, 32, 4), ("hx8k", 272, 64, 8),
     ("ecp5-25f", 5120, 64, 20), ("ecp5-25f", 2560, 64, 10)],
)  # fmt: skip
def test_memories_of_any_depth(name, depth, width, blocks):
    """What Yosys infers for a memory of that shape, with one port on an UP5K and two elsewhere."""
    assert PARTS[name].blocks[0].needed(depth, width) == blocks


@pytest.mark.parametrize("name", sorted(PARTS.keys() & PRESETS.keys()))
def test_presets_fit_their_parts(name):
    blocks = memory_blocks(PARTS[name], PRESETS[name])
    assert all(needed <= there for needed, there in blocks.values()), blocks


def test_banks_that_do_not_fit_single_port_blocks_take_others():
    c = replace(PRESETS["up5k"], rows=2)
    blocks = memory_blocks(PARTS["up5k"], c)
    # Two banks of 64 bits would need eight blocks of 16.
    assert blocks["SPRAM"] == (0, 4)
    assert blocks["EBR"][0] > 512


@pytest.mark.parametrize(("name", "blocks"), [("up5k", 23), ("hx8k", 23), ("ecp5-25f", 50)])
def test_blocks_of_presets(name, blocks):
    """What Yosys infers for the emitted Verilog (`hiddenite synth --target`)."""
    found = memory_blocks(PARTS[name], PRESETS[name])
    assert found["DP16KD" if name.startswith("ecp5") else "EBR"][0] == blocks


def test_single_port_memories_take_single_port_blocks():
    part, c = PARTS["up5k"], PRESETS["up5k"]
    # What Yosys infers for the emitted Verilog: 4 SPRAM and 23 EBR.
    assert memory_blocks(part, c) == {"SPRAM": (4, 4), "EBR": (23, 30)}
    two_ports = memory_blocks(part, replace(c, activation_ports=2))
    assert two_ports["SPRAM"] == (0, 4)
    assert two_ports["EBR"][0] > 256
