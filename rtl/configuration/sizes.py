"""The sizes of an engine that its programs depend on."""

from dataclasses import dataclass

from amaranth.utils import ceil_log2

from .checks import check_multiple, check_power_of_two, check_range, check_types

__all__ = ["Sizes"]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes that a program depends on.

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
    largest_map : int
        Largest height and width of a tensor, a power of two, 16 to 4096.
    largest_kernel : int
        Largest height and width of a kernel, a power of two, 1 to 4096.
    largest_stride : int
        Largest stride, a power of two, 1 to 16.
    largest_channels : int
        Most channels of a tensor, a power of two, 64 to 2**16.
    largest_batch : int
        Most images that a program runs at once, a power of two, 1 to 64.

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
    tile_words: int
    accumulator_bits: int = 20
    bias_bits: int = 34
    largest_map: int = 1024
    largest_kernel: int = 256
    largest_stride: int = 8
    largest_channels: int = 4096
    largest_batch: int = 1

    def __post_init__(self) -> None:
        check_types(self, Sizes)
        check_power_of_two(self, "ich", 1, 32)
        check_power_of_two(self, "och", 1, 64)
        check_power_of_two(self, "rows", 1, 16)
        check_power_of_two(self, "cols", 1, 16)
        check_power_of_two(self, "constructor_lanes", 1, self.och, " (och)")
        check_power_of_two(self, "post_lanes", 1, self.unit, " (the smaller of ich and och)")
        check_power_of_two(self, "program_bits", 8, 64)
        check_multiple(self, "activation_words", 16, 1 << 20)
        check_power_of_two(self, "tile_words", 16, 1 << 16)
        check_power_of_two(self, "largest_map", 16, 4096)
        check_power_of_two(self, "largest_kernel", 1, 4096)
        check_power_of_two(self, "largest_stride", 1, 16)
        check_power_of_two(self, "largest_channels", 64, 1 << 16)
        check_power_of_two(self, "largest_batch", 1, 64)
        check_range(self, "accumulator_bits", 12, 32)
        check_range(self, "bias_bits", 16, 34)

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
    def activation_bytes(self) -> int:
        """Size of the activation memory."""
        return self.activation_words * self.banks * self.ich
