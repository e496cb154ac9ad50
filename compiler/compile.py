"""Network and configuration to program."""

import zlib

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import AvgPool, Conv, Network
from hiddenite.golden.weights import KEY_CHANNEL, channel_key
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.layer_table import INT8_ZERO
from hiddenite.rtl.program.packets import (
    MAGIC,
    NARROW,
    ConstructionDescriptor,
    Opcode,
    Operation,
    crc_words,
)

from .array_sums import array_sums
from .channel_records import channel_records
from .flatten import flatten
from .layer_table import layer_table
from .mask_stream import MaskCode, MaskStream
from .packing import number_words, structure_words
from .program import Program
from .schedule import schedule
from .stage import Stage

__all__ = ["MAX_WEIGHTS", "compile_network"]

MAX_WEIGHTS = 2**28
"""Weights that a program may have, kept or not: every layer's mask is in it."""


def compile_network(network: Network, c: Configuration, *, batch: int = 1) -> Program:
    """Compile a network for an engine.

    Parameters
    ----------
    network : Network
    c : Configuration
    batch : int
        Images that the program runs at once: each tile of weights serves all of them.

    Raises
    ------
    InputError
        The engine is too small for it; the message names the memory, what it needs and has, and
        the parameter to raise. Or the network has more than `MAX_WEIGHTS` weights.
    """
    _check_weights(network)
    if not 1 <= batch <= c.largest_batch:
        raise InputError(
            f"batch: must be 1 to {c.largest_batch}, the largest_batch of this configuration, "
            f"not {batch}"
        )
    stages, plan = schedule(flatten(network, c), c, batch)
    writer = _Writer(c)
    masks = MaskStream(c)
    convs, entropy, weights = [], 0.0, 0
    for stage in stages:
        _check(stage, c)
        if stage.operation is Operation.CONV:
            sums = array_sums(network.seed, stage, c)
            convs.append((*masks.add(stage.conv.mask, stage.conv.sign), sums))
            weights += stage.weights
            entropy += _entropy(stage)
    tile_words = masks.words()

    writer.packet(number_words(MAGIC, 32, c.program_bits))
    remaining = iter(tile_words)
    remaining_convs = iter(convs)
    table_words, record_words = [], []
    for stage in stages:
        parts, table = layer_table(stage, c)
        table_words.append(len(table))
        if stage.operation is not Operation.CONV:
            writer.packet([Opcode.LAYER | parts], table)
            continue
        code, tiles, sums = next(remaining_convs)
        # The lanes begin with a step of the key.
        key = int(channel_key(stage.weight_seed(network.seed), stage.conv.index, 0))
        key = (key - KEY_CHANNEL * c.constructor_lanes) % 2**32
        construction = _construction_descriptor(stage, c, code)
        key_words = number_words(key, 32, c.program_bits)
        writer.packet([Opcode.CONV | parts], key_words, construction, table)
        for tile, (narrow, records) in enumerate(channel_records(stage, sums, c)):
            opcode = Opcode.LAST_TILE if tile == tiles - 1 else Opcode.TILE
            writer.packet([opcode | NARROW * narrow], records, next(remaining))
            record_words.append(len(records))
    writer.packet([Opcode.END])

    last = network.layers[-1]
    return Program(
        configuration=c,
        batch=batch,
        words=writer.words(),
        input_shape=network.input.shape,
        result_shape=network.shapes[last.name],
        result_type=network.types[last.name],
        stages=stages,
        memory=plan,
        table_words=table_words,
        record_words=record_words,
        mask_words=[len(words) for words in tile_words],
        masks=masks,
        weights=weights,
        mask_entropy=entropy,
    )


class _Writer:
    """Program words, packet by packet."""

    def __init__(self, c: Configuration):
        self.bits = c.program_bits
        self._packets: list[np.ndarray] = []
        self._crc = c.fingerprint

    def packet(self, *parts) -> None:
        """Append the parts of a packet, and the CRC of all words so far."""
        words = np.concatenate([np.asarray(part, np.uint64) for part in parts])
        size = self.bits // 8
        raw = words.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :size]
        self._crc = zlib.crc32(raw.tobytes(), self._crc)
        self._packets.append(words)
        for _ in range(crc_words(self.bits)):
            self._packets.append(number_words(self._crc, self.bits, self.bits))
            self._crc = zlib.crc32(bytes(size), self._crc)

    def words(self) -> np.ndarray:
        return np.concatenate(self._packets)


def _entropy(stage: Stage) -> float:
    """Bits of a stage's mask at its layer's density, and one for each sign that is sent."""
    mask = stage.conv.mask
    signs = 0.0 if stage.conv.sign is None else float(mask.sum())
    size = stage.weights or mask.size
    p = mask.sum() / size
    if p in (0, 1):
        return signs
    return signs + float(size * -(p * np.log2(p) + (1 - p) * np.log2(1 - p)))


def _check_weights(network: Network) -> None:
    """Refuse more weights than a program is for: in a file, many layers can share a mask."""
    weights = sum(layer.mask.size for layer in network.layers if isinstance(layer, Conv))
    if weights > MAX_WEIGHTS:
        raise InputError(
            f"network {one_line(network.name)}: weights of all layers must be at most"
            f" {MAX_WEIGHTS:,} to be compiled, not {weights:,}"
        )


def _check(stage: Stage, c: Configuration) -> None:
    """Refuse a layer that is too large for the engine."""
    layer, where = stage.layer, stage.where
    height, width, channels = stage.shape
    # What several stages make may be larger than what each of them makes.
    read = (0, 0, 0) if stage.source is None else stage.source.layout.shape
    for what, value, field in (
        ("height", height, "largest_map"),
        ("width", width, "largest_map"),
        ("input height", read[0], "largest_map"),
        ("input width", read[1], "largest_map"),
        ("number of input channels", read[2], "largest_channels"),
        ("kernel height", stage.kernel[0], "largest_kernel"),
        ("kernel width", stage.kernel[1], "largest_kernel"),
        ("vertical stride", stage.stride[0], "largest_stride"),
        ("horizontal stride", stage.stride[1], "largest_stride"),
        ("number of channels", channels, "largest_channels"),
    ):
        limit = getattr(c, field)
        if value > limit:
            raise InputError(
                f"{where}: {what} is {value}, the most that this configuration counts to is "
                f"{limit}: raise {field}"
            )
    for axis, name in enumerate(("height", "width")):
        reach, limit = _reach(stage, axis, c), 1 << c.position_bits
        if reach > limit:
            raise InputError(
                f"{where}: {name} with the padding of dilated taps is {reach}, the most that this "
                f"configuration counts to is {limit}: raise largest_map"
            )
    if isinstance(layer, Conv):
        need = stage.kernel[0] * stage.kernel[1] * stage.read.layout.groups
        if need > c.tile_words - 1:
            raise InputError(
                f"{where}: tile buffer: needs {need} words for each output channel, "
                f"has {c.tile_words - 1}: raise tile_words"
            )
    if isinstance(layer, AvgPool):
        inside = [min(k, s) for k, s in zip(stage.kernel, stage.read.layout.shape, strict=False)]
        count = inside[0] * inside[1]
        largest = most = 255 * count
        if stage.source_type == "int8":
            # What is outside the map is summed up, too; of all of it, zeros are taken off again.
            largest += INT8_ZERO * (stage.summed - count)
            most = INT8_ZERO * count - 1
        # The post-processor takes a sum for a signed number.
        for what, need, field in (
            ("accumulator", largest.bit_length(), "accumulator_bits"),
            ("bias", most.bit_length() + 1, "bias_bits"),
        ):
            limit = getattr(c, field)
            if need > limit:
                raise InputError(
                    f"{where}: {what}: the sum of {inside[0]}x{inside[1]} needs {need} bits, "
                    f"has {limit}: raise {field}"
                )


def _reach(stage: Stage, axis: int, c: Configuration) -> int:
    """Positions along an axis that a window tells apart: taps may be far outside of the map."""
    if stage.source is None or stage.spread is not None:
        return 0
    banks, size = (c.rows, c.cols)[axis], stage.shape[axis]
    last = (-(-size // banks) * banks - 1) * stage.stride[axis] - stage.padding[axis]
    last += (stage.kernel[axis] - 1) * stage.dilation[axis]
    return max(stage.read.layout.shape[axis] + stage.padding[axis], last + 1)


def _construction_descriptor(stage: Stage, c: Configuration, code: MaskCode) -> np.ndarray:
    """`ConstructionDescriptor` of a conv, as words."""
    channels = stage.read.layout.shape[2]
    groups = stage.read.layout.groups
    fields = {
        "parameter": code.parameter,
        "signed": code.signed,
        "segments_last": stage.kernel[1] - 1,
        "word_before_last": (groups - 2) % (1 << c.group_bits),
        "tail_last": (channels - 1) % c.ich,
        "tile_words": stage.kernel[0] * stage.kernel[1] * groups,
        "channels_last": (stage.shape[2] - 1) % c.och,
    }
    return structure_words(ConstructionDescriptor(c), fields, c.program_bits)
