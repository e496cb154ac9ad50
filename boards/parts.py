"""FPGA parts, and how many of a part's memory blocks a configuration takes.

Figures are those of the vendors' family data sheets: Lattice iCE40 UltraPlus (FPGA-DS-02008), iCE40
LP/HX (FPGA-DS-02029), ECP5 (FPGA-DS-02012).
"""

from dataclasses import dataclass

from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.engine import memories

__all__ = ["PARTS", "MemoryBlock", "Part", "memory_blocks"]


@dataclass(frozen=True, kw_only=True)
class MemoryBlock:
    """A kind of memory block.

    Attributes
    ----------
    name : str
    count : int
        Blocks in the part.
    shapes : tuple of (int, int)
        (depth, width) that one block can be used as.
    ports : int
        1: one access a cycle; 2: a read and a write.
    """

    name: str
    count: int
    shapes: tuple[tuple[int, int], ...]
    ports: int = 2

    def needed(self, depth: int, width: int) -> int:
        """Blocks for one memory of this shape."""
        return min(-(-depth // d) * -(-width // w) for d, w in self.shapes)


@dataclass(frozen=True, kw_only=True)
class Part:
    """An FPGA.

    Attributes
    ----------
    name : str
    blocks : tuple of MemoryBlock
        The block of choice for large memories with one port first.
    """

    name: str
    blocks: tuple[MemoryBlock, ...]


_EBR = ((256, 16), (512, 8), (1024, 4), (2048, 2))
_DP16KD = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))


def _ice40(name: str, ebr: int, spram: int = 0) -> Part:
    blocks = (MemoryBlock(name="EBR", count=ebr, shapes=_EBR),)
    if spram:
        blocks = (
            MemoryBlock(name="SPRAM", count=spram, shapes=((16384, 16),), ports=1),
            *blocks,
        )
    return Part(name=name, blocks=blocks)


def _ecp5(name: str, blocks: int) -> Part:
    block = MemoryBlock(name="DP16KD", count=blocks, shapes=_DP16KD)
    return Part(name=name, blocks=(block,))


PARTS = {
    "up5k": _ice40("iCE40 UP5K", 30, spram=4),
    "hx8k": _ice40("iCE40 HX8K", 32),
    "ecp5-25f": _ecp5("ECP5-25F", 56),
    "ecp5-45f": _ecp5("ECP5-45F", 108),
    "ecp5-85f": _ecp5("ECP5-85F", 208),
}
"""Parts by the name of the preset that is made for them, or would be."""

SMALL = 1024
"""Bits of a memory that goes into look-up tables rather than into a block."""


def memory_blocks(part: Part, c: Configuration) -> dict[str, tuple[int, int]]:
    """Memory blocks that an engine takes, and those that the part has.

    Memories of one port go into a block of one port while there are any.

    Returns
    -------
    dict of str to (int, int)
        (needed, there) for each kind of block.
    """
    needed = {block.name: 0 for block in part.blocks}
    for memory in memories(c):
        if memory.depth * memory.width < SMALL:
            continue
        for block in part.blocks:
            blocks = memory.count * block.needed(memory.depth, memory.width)
            room = needed[block.name] + blocks <= block.count
            if block.ports == 2 or (memory.ports == 1 and room):
                needed[block.name] += blocks
                break
    return {block.name: (needed[block.name], block.count) for block in part.blocks}
