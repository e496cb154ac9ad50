"""FPGA parts, how the tools are told of them, and how many memory blocks a configuration takes.

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
    small_bits : int
        Bits for each block up to which Yosys makes a memory of other cells.
    """

    name: str
    count: int
    shapes: tuple[tuple[int, int], ...]
    ports: int = 2
    small_bits: int = 0

    def needed(self, depth: int, width: int) -> int:
        """Blocks for one memory of this shape."""
        return min(-(-depth // d) * -(-width // w) for d, w in self.shapes)


@dataclass(frozen=True, kw_only=True)
class Part:
    """An FPGA.

    Attributes
    ----------
    name : str
    family : str
        "ice40" or "ecp5".
    blocks : tuple of MemoryBlock
        The block of choice for large memories with one port first.
    synthesis : str
        Yosys's command for it.
    place : tuple of str
        Options of nextpnr that name device, package and speed grade.
    target_mhz : int
        What nextpnr is asked for. On an iCE40 more than can be had, so that it never thinks to be
        done. On an ECP5, where it routes again what is too slow, what the engine made for the part
        can reach; it takes long to give up.
    """

    name: str
    family: str
    blocks: tuple[MemoryBlock, ...]
    synthesis: str
    place: tuple[str, ...]
    target_mhz: int


_EBR = ((256, 16), (512, 8), (1024, 4), (2048, 2))
_DP16KD = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))


# Options of synthesis, by the cells of whole engines. -abc9, -noabc9 and -abc2 make no difference.
# -dff saves 1 to 2 %, but is not to be trusted: with Yosys 0.70 it found all of a board's logic
# constant and left nothing of it.


def _ice40(
    name: str, ebr: int, device: str, place: tuple[str, ...], target_mhz: int, *, ultra: bool
) -> Part:
    blocks: tuple[MemoryBlock, ...] = (
        MemoryBlock(name="EBR", count=ebr, shapes=_EBR, small_bits=64),
    )
    if ultra:
        spram = MemoryBlock(name="SPRAM", count=4, shapes=((16384, 16),), ports=1)
        blocks = (spram, *blocks)
    options = " -dsp -spram" if ultra else ""
    return Part(
        name=name,
        family="ice40",
        blocks=blocks,
        synthesis=f"synth_ice40 -device {device}{options}",
        place=place,
        target_mhz=target_mhz,
    )


def _ecp5(size: str, blocks: int, target_mhz: int) -> Part:
    return Part(
        name=f"ECP5-{size}F",
        family="ecp5",
        blocks=(MemoryBlock(name="DP16KD", count=blocks, shapes=_DP16KD, small_bits=1023),),
        synthesis="synth_ecp5",
        place=(f"--{size}k", "--package", "CABGA381", "--speed", "6"),
        target_mhz=target_mhz,
    )


PARTS = {
    "up5k": _ice40("iCE40 UP5K", 30, "u", ("--up5k", "--package", "sg48"), 60, ultra=True),
    "hx8k": _ice40("iCE40 HX8K", 32, "hx", ("--hx8k", "--package", "ct256"), 200, ultra=False),
    "ecp5-25f": _ecp5("25", 56, 103),
    "ecp5-45f": _ecp5("45", 108, 100),
    "ecp5-85f": _ecp5("85", 208, 82),
}
"""Parts by the name of the preset that is made for them, or would be."""


def memory_blocks(part: Part, c: Configuration) -> dict[str, tuple[int, int]]:
    """Memory blocks that an engine takes, and those that the part has.

    Memories of one port go into a block of one port while there are any.

    Returns
    -------
    dict of str to (int, int)
        (needed, there) for each kind of block.
    """
    needed = {block.name: 0 for block in part.blocks}
    for memory in (memory for memory in memories(c) if not memory.distributed):
        for block in part.blocks:
            each = block.needed(memory.depth, memory.width)
            blocks = memory.count * each
            room = needed[block.name] + blocks <= block.count
            if block.ports == 2 or (memory.ports == 1 and room):
                if memory.depth * memory.width > each * block.small_bits:
                    needed[block.name] += blocks
                break
    return {block.name: (needed[block.name], block.count) for block in part.blocks}
