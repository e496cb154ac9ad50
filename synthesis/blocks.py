"""Blocks of an engine by the names that people give them, from the modules of its Verilog."""

import re
from dataclasses import dataclass

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.verilog import TOP

__all__ = ["ENGINE", "Block", "find_block", "list_blocks"]

ENGINE = "engine"

# Blocks that are called otherwise in the documentation than in their parent.
_NAMES = {
    "activations": "activation-memory",
    "post": "post-processor",
    "queue": "layer-queue",
    "reader": "program-reader",
}
_MODULE = re.compile(r"^module (?:\\(\S+) |(\w+)).*?^endmodule", re.M | re.S)
# A cell of another module: its type, an instance name, and ports by name.
_INSTANCE = re.compile(r"^  (?:\\(\S+) |(\w+)) +(?:\\\S+ |\w+ )\($", re.M)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A module of an engine's Verilog.

    Attributes
    ----------
    name : str
        What people call it.
    module : str
        Name of the module.
    processing_elements : int
        PEs in it; 0 where it has none.
    """

    name: str
    module: str
    processing_elements: int


def _name(module: str) -> str:
    if module == TOP:
        return ENGINE
    # A dot or, in what is emitted once, an underscore follows. Amaranth numbers modules of the same
    # name.
    first, *rest = re.sub(r"\$\d+", "", module[len(TOP) + 1 :]).split(".")
    return ".".join([_NAMES.get(first, first), *rest]).replace("_", "-")


def list_blocks(verilog: str, configuration: Configuration) -> list[Block]:
    """Return all blocks of an engine, the engine itself first, then by name."""
    texts = {m[1] or m[2]: m[0] for m in _MODULE.finditer(verilog)}
    children = {
        module: [name for m in _INSTANCE.finditer(text) if (name := m[1] or m[2]) in texts]
        for module, text in texts.items()
    }
    array = next((module for module in texts if _name(module) == "array"), None)
    # What the array is made of shares its PEs, if there is one kind of it.
    parts = children.get(array, [])
    blocks = []
    for module in texts:
        elements = 0
        if module in (TOP, array):
            elements = configuration.processing_elements
        elif parts and set(parts) == {module}:
            elements = configuration.processing_elements // len(parts)
        blocks.append(Block(name=_name(module), module=module, processing_elements=elements))
    return sorted(blocks, key=lambda block: (block.name != ENGINE, block.name))


def find_block(name: str, verilog: str, configuration: Configuration) -> Block:
    """Return the block of that name.

    Raises
    ------
    InputError
        If there is none; the message lists those there are, of numbered ones the first.
    """
    blocks = list_blocks(verilog, configuration)
    for block in blocks:
        if block.name == name:
            return block
    names = [b.name for b in blocks if not re.search(r"-[1-9]\d*(\.|$)", b.name)]
    raise InputError(f"block must be one of {', '.join(names)}, not {name!r}")
