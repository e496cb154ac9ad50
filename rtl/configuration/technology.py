"""How an engine is built, for the technology that it is built in."""

from dataclasses import dataclass

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError

from .checks import check_choice, check_range, check_types

__all__ = ["ARRAYS", "MASK_DECODERS", "SHIFTERS", "Technology"]

ARRAYS = ("tree", "flip", "chain", "combinational")
MASK_DECODERS = ("parallel", "serial")
SHIFTERS = ("multiplexers", "multipliers")


@dataclass(frozen=True, kw_only=True)
class Technology:
    """What suits a technology; the sizes may be the same in all of them.

    Parameters
    ----------
    array : str
        How sums are built. ``"tree"``: a registered adder tree (any FPGA); ``"flip"``: sums
        are complemented in place of inputs, a smaller array on an iCE40; ``"chain"``: carry cells
        of the ECP5, which take mask and sign for nothing; ``"combinational"``: a tree without
        registers (ASIC).
    mask_decoder : str
        How the masks' code is read. ``"parallel"``: a run of pruned weights a cycle; ``"serial"``:
        one or two bits a cycle, in about half of the logic.
    activation_ports : int
        1: one access a cycle to each bank, writes hold reads up (single-port SRAM, SPRAM of iCE40);
        2: one read and one write a cycle (block RAM).
    shifter : str
        How outputs are shifted. ``"multiplexers"`` (anywhere); ``"multipliers"``: three or four
        more DSP blocks for each of ``post_lanes``, instead of 150 LUTs or more.
    post_pixels : int
        Pixels of a row of the tile whose outputs are scaled in one cycle, a power of two, at most
        ``cols``; more than one if ``post_lanes`` are all of ``och`` channels, which are at most
        ``ich``. So many times the lanes. Where a layer of another stride reads the outputs, and on
        the result stream, it is one.
    pipelining : int
        How many registers there are besides those that a block needs, 0 to 3; with
        ``activation_ports`` of 1, 0 or 1. Each level has those of the levels below it.

        === ===================================================================================
        0   the fewest: iCE40, ASIC
        1   behind the activation banks, and between all operations from sum to output; results
            leave through a queue
        2   in front of the memories, behind the aligner, at the layers' tables, and between the
            halves of a step of the constructor's lanes, which then takes two cycles (not with
            ``mask_decoder="serial"``): ECP5
        3   on the way from the loops to the memories; chains hand activations on from some output
            channels to the next ones: a large ECP5
        === ===================================================================================

    timeout_cycles : int
        The engine stops with an error when a stream that has begun is waited for and no stream
        brings anything for so many cycles; 0 waits for ever.

    Raises
    ------
    InputError
        When a value breaks a rule above.
    """

    array: str = "tree"
    mask_decoder: str = "parallel"
    activation_ports: int = 2
    shifter: str = "multiplexers"
    post_pixels: int = 1
    pipelining: int = 0
    timeout_cycles: int = 1 << 24

    def __post_init__(self) -> None:
        check_types(self, Technology)
        check_choice(self, "array", ARRAYS)
        check_choice(self, "mask_decoder", MASK_DECODERS)
        check_choice(self, "shifter", SHIFTERS)
        check_range(self, "activation_ports", 1, 2)
        check_range(self, "pipelining", 0, 3)
        check_range(self, "timeout_cycles", 0, (1 << 32) - 1)
        if self.pipelining > 1 and self.activation_ports == 1:
            raise InputError(
                "configuration: pipelining must be 0 or 1 with activation_ports of 1, "
                f"not {one_line(self.pipelining)}"
            )
