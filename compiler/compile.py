"""Network and configuration to program."""

import zlib
from typing import Any

import numpy as np
from amaranth.lib import data

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import AvgPool, Conv, Network
from hiddenite.golden.weights import KEY_CHANNEL, channel_key
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import (
    FAR_SHIFT,
    MAGIC,
    NARROW,
    NARROW_BIASES,
    NARROW_BITS,
    ChannelRecord,
    ConstructionDescriptor,
    Increment,
    LayerDescriptor,
    LayerTable,
    Opcode,
    Operation,
    TablePart,
    crc_words,
    has_narrow_records,
    words_of,
)

from .array_sums import ArraySums, array_sums
from .increments import residual_increments, store_increments, window_increments
from .mask_stream import MaskStream
from .program import Program
from .schedule import Stage, schedule

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
    stages, plan = schedule(network, c, batch)
    writer = _Writer(c)
    masks = MaskStream(c)
    convs, entropy, weights = [], 0.0, 0
    for stage in stages:
        _check(stage, c)
        if stage.operation is Operation.CONV:
            sums = array_sums(network.seed, stage, c)
            convs.append((*masks.add(stage.conv.mask), sums))
            weights += stage.conv.mask.size
            entropy += _entropy(stage.conv.mask)
    tile_words = masks.words()

    writer.packet(_words(MAGIC, 32, c.program_bits))
    remaining = iter(tile_words)
    remaining_convs = iter(convs)
    table_words, record_words = [], []
    for stage in stages:
        parts, table = _layer_table(stage, c)
        table_words.append(len(table))
        if stage.operation is not Operation.CONV:
            writer.packet([Opcode.LAYER | parts], table)
            continue
        code, tiles, sums = next(remaining_convs)
        # The lanes begin with a step of the key.
        key = int(channel_key(network.seed, stage.conv.index, 0))
        key = (key - KEY_CHANNEL * c.constructor_lanes) % 2**32
        construction = _construction_descriptor(stage, c, code.parameter)
        writer.packet([Opcode.CONV | parts], _words(key, 32, c.program_bits), construction, table)
        biases = _record_biases(stage, sums, c)
        for tile in range(tiles):
            own = slice(tile * c.och, (tile + 1) * c.och)
            narrow, records = _channel_records(biases[own], stage.conv.scale[own], c)
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
            self._packets.append(_words(self._crc, self.bits, self.bits))
            self._crc = zlib.crc32(bytes(size), self._crc)

    def words(self) -> np.ndarray:
        return np.concatenate(self._packets)


def _words(value: int, size: int, bits: int) -> np.ndarray:
    """A value of ``size`` bits as words of ``bits`` bits, the lowest first."""
    count = -(-size // bits)
    return np.array([value >> i * bits & ((1 << bits) - 1) for i in range(count)], np.uint64)


def _pack(layout: data.Layout, fields: dict, bits: int) -> np.ndarray:
    """A structure as words."""
    value = layout.const(fields).as_value().value
    return _words(value, words_of(layout, bits) * bits, bits)


def _entropy(mask: np.ndarray) -> float:
    """Bits of a layer's mask at its density."""
    p = mask.mean()
    if p in (0, 1):
        return 0.0
    return float(mask.size * -(p * np.log2(p) + (1 - p) * np.log2(1 - p)))


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
    layer = stage.layer
    where = f"layer {stage.name!r}" if layer is not None else f"tensor {stage.name!r}"
    height, width, channels = stage.shape
    for what, value, field in (
        ("height", height, "largest_map"),
        ("width", width, "largest_map"),
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
    if isinstance(layer, Conv):
        need = stage.kernel[0] * stage.kernel[1] * stage.read.layout.groups
        if need > c.tile_words - 1:
            raise InputError(
                f"{where}: tile buffer: needs {need} words for each output channel, "
                f"has {c.tile_words - 1}: raise tile_words"
            )
    if isinstance(layer, AvgPool):
        inside = [min(k, s) for k, s in zip(stage.kernel, stage.read.layout.shape, strict=False)]
        bits = (255 * inside[0] * inside[1]).bit_length()
        # The post-processor takes a sum for a signed number.
        for what, need, field in (
            ("accumulator", bits, "accumulator_bits"),
            ("bias", bits + 1, "bias_bits"),
        ):
            limit = getattr(c, field)
            if need > limit:
                raise InputError(
                    f"{where}: {what}: the sum of {inside[0]}x{inside[1]} needs {need} bits, "
                    f"has {limit}: raise {field}"
                )


def _layer_descriptor(stage: Stage, c: Configuration) -> dict[str, Any]:
    """Fields of a stage's `LayerDescriptor`."""
    channels = stage.shape[2]
    layer, load = stage.layer, stage.operation is Operation.LOAD
    # The image comes pixel by pixel.
    banks = (1, 1) if load else (c.rows, c.cols)
    share = c.unit if stage.operation in (Operation.MAX_POOL, Operation.AVG_POOL) else c.och
    last = (channels - 1) % share
    fields: dict[str, Any] = {
        "operation": stage.operation,
        "to_result": stage.target is None,
        "tiles_last": -(-channels // share) - 1,
        "beats_last": last // c.post_lanes,
        "lanes_last": last % c.post_lanes,
        "images_last": stage.images - 1,
        "scale": 2,
        "large_tiles": True,
    }
    for axis, name in enumerate("yx"):
        size = stage.shape[axis]
        fields[f"tiles_{name}_last"] = -(-size // banks[axis]) - 1
        fields[f"store_{name}"] = {"end": (size - 1) % banks[axis]}
        if (c.rows, c.cols)[axis] > 1 and stage.target:
            fields[f"store_{name}"] |= {
                "phases_last": stage.target.layout.phases[axis] - 1,
                "first_only": stage.target.layout.form.first_only[axis],
            }
        if not load:
            fields[f"window_{name}"] = _window_axis(stage, axis, c)
    if isinstance(layer, AvgPool):
        fields |= {"scale": layer.scale, **_shift(layer.shift)}
    if isinstance(layer, Conv):
        groups = stage.read.layout.groups
        fields |= {
            "signed": layer.output == "int32",
            "residual": stage.residual is not None,
            "groups_last": groups - 1,
            "large_tiles": stage.kernel[0] * stage.kernel[1] * groups >= c.tile_words // 2,
            **_shift(layer.shift),
            "scale": layer.residual_scale if stage.residual is not None else 0,
        }
    return fields


def _shift(shift: int) -> dict:
    """Fields of a `LayerDescriptor` for a network's shift."""
    far = shift > FAR_SHIFT
    return {"shift": shift - 1 - far * FAR_SHIFT, "far": far}


def _window_axis(stage: Stage, axis: int, c: Configuration) -> dict:
    """How a stage's window lies along one axis of its input."""
    layout, banks = stage.read.layout, (c.rows, c.cols)[axis]
    fields = {"kernel_last": stage.kernel[axis] - 1}
    if banks > 1:
        phases = layout.phases[axis]
        q, phase = divmod(-stage.padding[axis], phases)
        fields |= {
            "phases_last": phases - 1,
            "phase": phase,
            "bank": q % banks,
            "row_step": layout.row_steps[axis],
        }
    return fields


def _table_parts(stage: Stage, c: Configuration) -> TablePart:
    """Parts of its `LayerTable` that a stage needs."""
    parts = TablePart(0)
    tensors = [placed.layout for placed in (stage.source, stage.target) if placed is not None]
    if any(phases > 1 for layout in tensors for phases in layout.phases):
        parts |= TablePart.PLANES
    if stage.images > 1:
        parts |= TablePart.IMAGES
    if stage.operation is not Operation.LOAD:
        descriptor = _layer_descriptor(stage, c)
        if descriptor["tiles_y_last"] or descriptor["tiles_x_last"]:
            parts |= TablePart.PIXEL_TILES
        if descriptor["tiles_last"]:
            parts |= TablePart.TILES
    return parts


def _layer_table(stage: Stage, c: Configuration) -> tuple[TablePart, np.ndarray]:
    """`LayerTable` of a stage: the parts that it has, and its words."""
    table, layout = LayerTable(c), Increment(c)
    descriptor = LayerDescriptor(c).const(_layer_descriptor(stage, c)).as_value().value
    bits = table.descriptor_bits
    above = [descriptor >> i * bits & ((1 << bits) - 1) for i in range(table.descriptor_rows)]
    above += [0] * (table.depth - len(above))
    low = [0] * len(above)
    if stage.operation is not Operation.LOAD:
        for name, increment in window_increments(stage, c).items():
            fields = zip(("address", "y", "x"), increment, strict=True)
            limited = {k: v & ((1 << layout[k].width) - 1) for k, v in fields}
            above[table.rows[name]] = layout.const(limited).as_value().value
    if stage.residual is not None:
        for name, address in residual_increments(stage, c).items():
            low[table.rows[name]] = address
    if stage.target is not None:
        for name, address in store_increments(stage, c).items():
            low[table.other[name]] = address
    address, size = (1 << c.address_bits) - 1, table.columns * c.program_bits
    parts = _table_parts(stage, c)
    rows = [above[row] << c.address_bits | (low[row] & address) for row in table.rows_of(parts)]
    return parts, np.concatenate([_words(row, size, c.program_bits) for row in rows])


def _construction_descriptor(stage: Stage, c: Configuration, parameter: int) -> np.ndarray:
    """`ConstructionDescriptor` of a conv, as words."""
    channels = stage.read.layout.shape[2]
    groups = stage.read.layout.groups
    fields = {
        "parameter": parameter,
        "segments_last": stage.kernel[1] - 1,
        "word_before_last": (groups - 2) % (1 << c.group_bits),
        "tail_last": (channels - 1) % c.ich,
        "tile_words": stage.kernel[0] * stage.kernel[1] * groups,
        "channels_last": (stage.shape[2] - 1) % c.och,
    }
    return _pack(ConstructionDescriptor(c), fields, c.program_bits)


def _record_biases(stage: Stage, sums: ArraySums, c: Configuration) -> np.ndarray:
    """Bias of the `ChannelRecord` of each output channel, int64."""
    layer = stage.conv
    bias = layer.bias.astype(np.int64) - sums.offset
    # A number of n bits, or the complement of a negative one, needs a bit more with its sign.
    extreme = np.maximum(bias + sums.largest, ~bias)
    channel = int(extreme.argmax())
    bits = int(extreme[channel]).bit_length() + 1
    if bits > c.bias_bits:
        raise InputError(
            f"layer {stage.name!r}: bias: {int(layer.bias[channel])} of output channel "
            f"{channel} and its weights need {bits} bits, has {c.bias_bits}: raise bias_bits"
        )
    return bias


def _channel_records(
    bias: np.ndarray, scale: np.ndarray, c: Configuration
) -> tuple[bool, np.ndarray]:
    """Channel records of a tile: whether they are narrow, and their words."""
    fits = (bias >= NARROW_BIASES.start) & (bias < NARROW_BIASES.stop)
    narrow = has_narrow_records(c) and bool(fits.all())
    layout = ChannelRecord(c)
    assert layout.size <= 63
    bits = NARROW_BITS if narrow else layout.size
    value = scale.astype(np.int64) & 0xFFFF | bias << layout["bias"].offset
    value = (value & ((1 << bits) - 1)).astype(np.uint64)
    if narrow and c.program_bits > NARROW_BITS:
        value = np.append(value, np.zeros(len(value) % 2, np.uint64))
        return narrow, value[::2] | value[1::2] << np.uint64(NARROW_BITS)
    shifts = np.arange(0, bits, c.program_bits, dtype=np.uint64)
    mask = np.uint64((1 << c.program_bits) - 1)
    return narrow, (value[:, None] >> shifts & mask).reshape(-1)
