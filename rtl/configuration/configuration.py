"""What one engine is made of: sizes, chosen once, before Verilog is generated."""

import zlib
from dataclasses import asdict, dataclass, fields

from amaranth.utils import ceil_log2

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError

from ..array.flip_dot_product import MOST_INPUTS

__all__ = ["Configuration"]

PROGRAM_FORMAT = 5
"""Version of the program's packets; part of every fingerprint."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Sizes of an engine.

    The array has ``ich * och * rows * cols`` PEs: it adds ``ich`` input channels for each of
    ``och`` output channels at each of ``rows * cols`` output pixels, every cycle.

    Parameters
    ----------
    ich : int
        Input channels in parallel, a power of two, 1 to 32. Also the bytes of an activation word.
    och : int
        Output channels in parallel, a power of two, 1 to 64.
    rows, cols : int
        Height and width of the tile of output pixels in parallel, powers of two, 1 to 16. There
        are ``rows * cols`` banks of activation memory.
    constructor_lanes : int
        Output channels whose masks are expanded in parallel, a power of two, at most ``och``.
    post_lanes : int
        Outputs that are scaled in one cycle, a power of two, at most ``ich`` and ``och``. Also the
        bytes of one beat of the image stream and the values of one beat of the result stream.
    program_bits : int
        Width of the program stream: 8, 16, 32 or 64.
    activation_words : int
        Depth of each activation bank in words of ``ich`` bytes, a multiple of 16, 16 to 2**20.
    activation_ports : int
        1: one access a cycle to each bank, writes hold reads up (single-port SRAM, SPRAM of iCE40);
        2: one read and one write a cycle (block RAM).
    read_latency : int
        Cycles from the address of an activation or a weight to the array: 2. For a higher
        clock where memories are slow: 3 with registers behind the activation banks, 4 with others
        in front of them and, but for trees, behind the tile buffer's memories, 5 with others
        behind the aligner, 6 with others at the layers' tables, 7 with others on the way from the
        loops to the memories, and activations that chains hand on (`channel_delays`).
    tile_words : int
        Depth of the tile buffer in words of ``ich`` weights (2 bits each) per output channel, a
        power of two, 16 to 2**16. One word is for pools; tiles that take less than half of it are
        double-buffered.
    accumulator_bits : int
        Width of an accumulator, 12 to 32: up to ``(2**accumulator_bits - 1) // 255`` weights kept
        in one output channel, or taps of average pooling; with ``array="flip"`` about a fifth fewer
        weights.
    bias_bits : int
        Width of a signed bias and of its sum with an accumulator, 16 to 34. 34 are enough for
        every bias of 32 bits; each one less makes the post-processor smaller.
    array : str
        How sums are built. ``"tree"``: a registered adder tree (any FPGA); ``"flip"``: sums
        are complemented in place of inputs, a smaller array on an iCE40; ``"chain"``: carry cells
        of the ECP5, which take mask and sign for nothing; ``"combinational"``: a tree without
        registers (ASIC).
    shifter : str
        How outputs are shifted. ``"multiplexers"`` (anywhere); ``"multipliers"``: three or four
        more DSP blocks for each of ``post_lanes``, instead of 150 LUTs or more.
    output_path : str
        How sums become outputs. ``"short"``: they shift to the post-processor, and results leave as
        they come from it; ``"long"``: they stay and are selected, with registers between all
        operations and a queue behind, for a higher clock (ECP5).
    mask_decoder : str
        How the masks' code is read. ``"parallel"``: a run of pruned weights a cycle; ``"serial"``:
        one or two bits a cycle, in about half of the logic.
    constructor_period : int
        Cycles from step to step of a constructor lane: 1, or 2 for a higher clock (with
        ``mask_decoder="parallel"`` only).
    largest_map : int
        Largest height and width of a tensor, a power of two, 16 to 4096.
    largest_kernel : int
        Largest height and width of a kernel, a power of two, 1 to 4096.
    largest_stride : int
        Largest stride, a power of two, 1 to 16.
    largest_channels : int
        Most channels of a tensor, a power of two, 64 to 2**16.
    timeout_cycles : int
        The engine stops with an error when a stream that has begun is waited for and no stream
        brings anything for so many cycles; 0 waits for ever.

    Raises
    ------
    InputError
        When a value breaks a rule above.
    """

    ich: int
    och: int
    rows: int = 1
    cols: int = 1
    constructor_lanes: int = 1
    post_lanes: int = 1
    program_bits: int = 8
    activation_words: int
    activation_ports: int = 2
    read_latency: int = 2
    tile_words: int
    accumulator_bits: int = 20
    bias_bits: int = 34
    array: str = "tree"
    shifter: str = "multiplexers"
    output_path: str = "short"
    mask_decoder: str = "parallel"
    constructor_period: int = 1
    largest_map: int = 1024
    largest_kernel: int = 256
    largest_stride: int = 8
    largest_channels: int = 4096
    timeout_cycles: int = 1 << 24

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not field.type:
                kind = {int: "an integer", str: "a string"}[field.type]
                raise InputError(
                    f"configuration: {field.name} must be {kind}, not {one_line(value)}"
                )
        shared = min(self.ich, self.och)
        self._power_of_two("ich", 1, 32)
        self._power_of_two("och", 1, 64)
        self._power_of_two("rows", 1, 16)
        self._power_of_two("cols", 1, 16)
        self._power_of_two("constructor_lanes", 1, self.och, " (och)")
        self._power_of_two("post_lanes", 1, shared, " (the smaller of ich and och)")
        self._power_of_two("program_bits", 8, 64)
        self._multiple("activation_words", 16, 1 << 20)
        self._power_of_two("tile_words", 16, 1 << 16)
        self._power_of_two("largest_map", 16, 4096)
        self._power_of_two("largest_kernel", 1, 4096)
        self._power_of_two("largest_stride", 1, 16)
        self._power_of_two("largest_channels", 64, 1 << 16)
        self._range("activation_ports", 1, 2)
        self._range("read_latency", 2, 7)
        self._range("constructor_period", 1, 2)
        self._range("accumulator_bits", 12, 32)
        self._range("bias_bits", 16, 34)
        self._range("timeout_cycles", 0, (1 << 32) - 1)
        if self.read_latency > 3 and self.activation_ports == 1:
            raise InputError(
                "configuration: read_latency must be 2 or 3 with activation_ports of 1, "
                f"not {self.read_latency}"
            )
        if self.output_path not in ("short", "long"):
            raise InputError(
                "configuration: output_path must be 'short' or 'long', "
                f"not {one_line(self.output_path)}"
            )
        if self.array not in ("tree", "flip", "chain", "combinational"):
            raise InputError(
                "configuration: array must be 'tree', 'flip', 'chain' or 'combinational', "
                f"not {one_line(self.array)}"
            )
        if self.shifter not in ("multiplexers", "multipliers"):
            raise InputError(
                "configuration: shifter must be 'multiplexers' or 'multipliers', "
                f"not {one_line(self.shifter)}"
            )
        if self.mask_decoder not in ("parallel", "serial"):
            raise InputError(
                "configuration: mask_decoder must be 'parallel' or 'serial', "
                f"not {one_line(self.mask_decoder)}"
            )
        if self.constructor_period > 1 and self.mask_decoder != "parallel":
            raise InputError(
                "configuration: constructor_period must be 1 with mask_decoder 'serial', "
                f"not {self.constructor_period}"
            )

    def _range(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise InputError(
                f"configuration: {name} must be {low} to {high}, not {one_line(value)}"
            )

    def _power_of_two(self, name: str, low: int, high: int, note: str = "") -> None:
        value = getattr(self, name)
        if value < 1 or value & (value - 1) or not low <= value <= high:
            raise InputError(
                f"configuration: {name} must be a power of two from {low} to {high}{note}, "
                f"not {one_line(value)}"
            )

    def _multiple(self, name: str, unit: int, high: int) -> None:
        value = getattr(self, name)
        if value % unit or not unit <= value <= high:
            raise InputError(
                f"configuration: {name} must be a multiple of {unit} from {unit} to {high}, "
                f"not {one_line(value)}"
            )

    @property
    def banks(self) -> int:
        """Activation banks, one for each pixel of a tile."""
        return self.rows * self.cols

    @property
    def processing_elements(self) -> int:
        """Mask-and-accumulate PEs in the array."""
        return self.ich * self.och * self.banks

    @property
    def unit(self) -> int:
        """Bytes that are written to an activation word at a time."""
        return min(self.ich, self.och)

    @property
    def address_bits(self) -> int:
        """Bits of an address within an activation bank."""
        return ceil_log2(self.activation_words)

    @property
    def position_bits(self) -> int:
        """Bits of a signed row or column number of a tap: inside the map, or as far outside of it
        as padding and unused lanes go.
        """
        outside = self.largest_kernel + max(self.rows, self.cols) * self.largest_stride
        return 1 + ceil_log2(max(self.largest_map, outside))

    @property
    def group_bits(self) -> int:
        """Bits of the number of a word among those of a conv's input pixel."""
        return ceil_log2(min(self.tile_words, max(1, self.largest_channels // self.ich)))

    @property
    def channel_tile_bits(self) -> int:
        """Bits of the number of a tile of output channels."""
        return ceil_log2(self.largest_channels // self.unit)

    @property
    def activation_skew(self) -> tuple[int, ...]:
        """Cycles that each byte of an activation word comes after its first one.

        A chain of adders takes its inputs one after the other, so that memories give bytes in that
        order, too. The units of a word come together: a pool takes any of them for its first one.
        """
        skewed = self.array == "chain" and self.activation_ports == 2
        return tuple(i % self.unit if skewed else 0 for i in range(self.ich))

    @property
    def weight_skew(self) -> tuple[int, ...]:
        """Cycles that each input's mask and sign come after the first one's, for the same reason.

        Eight inputs come together: their masks and signs are as wide as a block RAM of an ECP5.
        """
        return tuple(i // 8 * 8 if self.array == "chain" else 0 for i in range(self.ich))

    @property
    def pixel_delays(self) -> tuple[int, ...]:
        """Cycles that each pixel of a tile goes through the array later than the first one.

        Chains hand masks and signs on from two pixels to the next two.
        """
        return tuple(n // 2 if self._hands_on else 0 for n in range(self.banks))

    @property
    def channel_delays(self) -> tuple[int, ...]:
        """Cycles that each output channel of a pixel goes through the array later than the first.

        Where all is far away, chains hand activations on from some channels to the next ones, no
        sooner than these leave the post-processor.
        """
        together = max(self.post_lanes, self.och // 4)
        far = self._hands_on and self.read_latency > 6
        return tuple(n // together if far else 0 for n in range(self.och))

    @property
    def _hands_on(self) -> bool:
        """Dot products need not have their operands at once, nor need sums be taken at once."""
        return self.array == "chain" and self.output_path == "long"

    @property
    def memory_latency(self) -> int:
        """Cycles from an address to what activation memory and tile buffer give."""
        return min(self.read_latency, 5) + (self.read_latency > 6)

    @property
    def array_latency(self) -> int:
        """Cycles from the operands of the array to its accumulators of the first pixel."""
        return {
            "tree": ceil_log2(self.ich) + 2,
            "flip": ceil_log2(max(1, self.ich // MOST_INPUTS)) + 2,
            "chain": self.ich + 2,
            "combinational": 1,
        }[self.array]

    @property
    def activation_bytes(self) -> int:
        """Size of the activation memory."""
        return self.activation_words * self.banks * self.ich

    @property
    def fingerprint(self) -> int:
        """32 bits that a program carries, so that no other engine runs it.

        Leaves out what does not change the program: ports, latencies, the build of the shifter, the
        time-out, and builds of the array that add the same too much.
        """
        same = {"activation_ports", "read_latency", "shifter", "output_path"}
        same |= {"constructor_period", "timeout_cycles"}
        if self.array != "flip":
            same.add("array")
        text = ",".join(f"{k}={v}" for k, v in asdict(self).items() if k not in same)
        return zlib.crc32(f"hiddenite,{PROGRAM_FORMAT},{text}".encode())
