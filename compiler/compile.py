"""Network and configuration to program."""

import zlib

import numpy as np
from amaranth.lib import data

from hiddenite.golden.errors import InputError
from hiddenite.golden.network import AvgPool, Conv, Network
from hiddenite.golden.weights import channel_key, signs
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program import (
    MAGIC,
    ChannelRecord,
    ConstructionDescriptor,
    LayerDescriptor,
    Opcode,
    Operation,
    words_of,
)

from .layout import Layout
from .mask_stream import MaskStream
from .program import Program
from .schedule import Placed, Stage, schedule

__all__ = ["compile_network"]


def compile_network(network: Network, c: Configuration) -> Program:
    """Compile a network for an engine.

    Raises
    ------
    InputError
        The engine is too small for it; the message names the memory, what it needs and has, and
        the parameter to raise.
    """
    stages, plan = schedule(network, c)
    writer = _Writer(c)
    masks = MaskStream(c)
    convs, codes, entropy, weights = [], [], 0.0, 0
    for stage in stages:
        _check(stage, c)
        if stage.operation is Operation.CONV:
            codes.append(masks.add(stage.layer.mask))
            convs.append(stage)
            weights += stage.layer.mask.size
            entropy += _entropy(stage.layer.mask)
    tile_words = masks.words()

    writer.packet(_words(MAGIC | c.fingerprint << 32, 64, c.program_bits))
    remaining = iter(tile_words)
    coded = iter(codes)
    for stage in stages:
        descriptor = _layer_descriptor(stage, c)
        if stage.operation is not Operation.CONV:
            writer.packet([Opcode.LAYER], descriptor)
            continue
        code, tiles = next(coded)
        key = int(channel_key(network.seed, stage.layer.index, 0))
        construction = _construction_descriptor(stage, c, code.parameter)
        writer.packet([Opcode.CONV], _words(key, 32, c.program_bits), construction, descriptor)
        records = _channel_records(network.seed, stage, c)
        for tile in range(tiles):
            own = records[tile * c.och : (tile + 1) * c.och].reshape(-1)
            opcode = Opcode.LAST_TILE if tile == tiles - 1 else Opcode.TILE
            writer.packet([opcode], own, next(remaining))
    writer.packet([Opcode.END])

    last = network.layers[-1]
    return Program(
        configuration=c,
        words=writer.words(),
        input_shape=network.input.shape,
        result_shape=network.shapes[last.name],
        result_type=network.types[last.name],
        stages=stages,
        memory_words=plan.used,
        mask_words=[len(words) for words in tile_words],
        construction_cycles=masks.cycles(),
        weights=weights,
        mask_entropy=entropy,
    )


class _Writer:
    """Program words, packet by packet."""

    def __init__(self, c: Configuration):
        self.bits = c.program_bits
        self._packets: list[np.ndarray] = []
        self._crc = 0

    def packet(self, *parts) -> None:
        """Append the parts of a packet and the CRC of all packets so far."""
        words = np.concatenate([np.asarray(part, np.uint64) for part in parts])
        size = self.bits // 8
        raw = words.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :size]
        self._crc = zlib.crc32(raw.tobytes(), self._crc)
        self._packets += [words, _words(self._crc, 32, self.bits)]

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


def _check(stage: Stage, c: Configuration) -> None:
    """Refuse a layer that is too large for the engine."""
    layer, where = stage.layer, f"layer {stage.name!r}"
    limit = c.largest_map
    for axis, out, kernel in zip(("height", "width"), stage.shape[:2], stage.kernel, strict=True):
        if max(out, kernel) > limit:
            raise InputError(
                f"{where}: {axis} of the {'kernel' if kernel > limit else 'output'} is "
                f"{max(out, kernel)}, the most that this configuration counts to is {limit}: "
                "raise activation_words"
            )
    if isinstance(layer, Conv):
        need = stage.kernel[0] * stage.kernel[1] * stage.source.layout.groups
        if need > c.tile_words:
            raise InputError(
                f"{where}: tile buffer: needs {need} words for each output channel, "
                f"has {c.tile_words}: raise tile_words"
            )
        kept = layer.mask.reshape(len(layer.mask), -1).sum(1)
        bits = (255 * int(kept.max())).bit_length()
        if bits > c.accumulator_bits:
            raise InputError(
                f"{where}: accumulator: {kept.max()} weights kept in output channel "
                f"{kept.argmax()} need {bits} bits, has {c.accumulator_bits}: "
                "raise accumulator_bits"
            )
    if isinstance(layer, AvgPool):
        inside = [min(k, s) for k, s in zip(stage.kernel, stage.source.layout.shape, strict=False)]
        bits = (255 * inside[0] * inside[1]).bit_length()
        if bits > c.pool_bits:
            raise InputError(
                f"{where}: pool: the sum of {inside[0]}x{inside[1]} needs {bits} bits, "
                f"has {c.pool_bits}: raise pool_bits"
            )


def _window_axis(stage: Stage, axis: int, c: Configuration) -> dict:
    """`WindowAxis` of a stage along one axis."""
    source, banks = stage.source, (c.rows, c.cols)[axis]
    layout: Layout = source.layout
    stride, padding = stage.stride[axis], stage.padding[axis]
    q, phase = divmod(-padding, stride)
    row, bank = divmod(q, banks)
    plane_step, row_step = layout.plane_steps[axis], layout.row_steps[axis]
    limit, limit_phase = divmod(layout.shape[axis] - 1, stride)
    base = source.address if axis == 0 else 0
    address, position = (1 << c.address_bits) - 1, (1 << c.coordinate_bits) - 1
    return {
        "phases_last": stride - 1,
        "plane_step": plane_step & address,
        "plane_wrap": -(stride - 1) * plane_step & address,
        "row_step": row_step & address,
        "phase": phase,
        "bank": bank,
        "address": base + phase * plane_step + row * row_step & address,
        "position": q & position,
        "limit": limit + 1,
        "limit_phase": limit_phase,
        "kernel_last": stage.kernel[axis] - 1,
        "tiles_last": -(-stage.shape[axis] // banks) - 1,
    }


def _store_axis(target: Placed | None, size: int, axis: int, c: Configuration) -> dict:
    """`Axis` of a stage's output along one axis."""
    fields = {"size_last": size - 1}
    if target is not None:
        layout, mask = target.layout, (1 << c.address_bits) - 1
        phases = layout.phases[axis]
        fields |= {
            "phases_last": phases - 1,
            "plane_step": layout.plane_steps[axis] & mask,
            "plane_wrap": -(phases - 1) * layout.plane_steps[axis] & mask,
            "row_step": layout.row_steps[axis] & mask,
        }
    return fields


def _layer_descriptor(stage: Stage, c: Configuration) -> np.ndarray:
    """`LayerDescriptor` of a stage, as words."""
    height, width, channels = stage.shape
    conv, layer = stage.operation is Operation.CONV, stage.layer
    fields = {
        "operation": stage.operation,
        "to_result": stage.target is None,
        "tiles_last": -(-channels // (c.och if conv else c.unit)) - 1,
        "chunks_last": -(-channels // c.post_lanes) - 1,
        "lanes_last": (channels - 1) % c.post_lanes,
        "store_y": _store_axis(stage.target, height, 0, c),
        "store_x": _store_axis(stage.target, width, 1, c),
        "store_address": stage.target.address if stage.target else 0,
        "residual_scale": 0 if conv else 2,
    }
    if stage.operation is Operation.LOAD:
        # The image comes pixel by pixel, with all its channels.
        fields |= {
            "tiles_last": 0,
            "window_y": {"tiles_last": height - 1},
            "window_x": {"tiles_last": width - 1},
        }
    else:
        fields |= {
            "window_y": _window_axis(stage, 0, c),
            "window_x": _window_axis(stage, 1, c),
        }
    if isinstance(layer, AvgPool):
        fields |= {"residual_scale": layer.scale, "shift": layer.shift - 1}
    if isinstance(layer, Conv):
        groups = stage.source.layout.groups
        fields |= {
            "signed": layer.output == "int32",
            "groups_last": groups - 1,
            "tile_words": stage.kernel[0] * stage.kernel[1] * groups,
            "shift": layer.shift - 1,
        }
        if stage.residual is not None:
            steps = stage.residual.layout.row_steps
            fields |= {
                "residual": 1,
                "residual_scale": layer.residual_scale,
                "residual_address": stage.residual.address,
                "residual_y": steps[0],
                "residual_x": steps[1],
            }
    return _pack(LayerDescriptor(c), fields, c.program_bits)


def _construction_descriptor(stage: Stage, c: Configuration, parameter: int) -> np.ndarray:
    """`ConstructionDescriptor` of a conv, as words."""
    channels = stage.source.layout.shape[2]
    groups = stage.source.layout.groups
    fields = {
        "parameter": parameter,
        "rows_last": stage.kernel[0] - 1,
        "segments_last": stage.kernel[1] - 1,
        "words_last": groups - 1,
        "tail_last": (channels - 1) % c.ich,
        "tile_words": stage.kernel[0] * stage.kernel[1] * groups,
        "channels_last": (stage.shape[2] - 1) % c.och,
    }
    return _pack(ConstructionDescriptor(c), fields, c.program_bits)


def _channel_records(seed: int, stage: Stage, c: Configuration) -> np.ndarray:
    """`ChannelRecord` of each output channel, channels x words.

    The PEs count 255 too much for each kept negative weight (see `hiddenite.rtl.pe_array`).
    """
    layer = stage.layer
    negative = layer.mask & (signs(seed, layer.index, layer.mask.shape) < 0)
    bias = layer.bias.astype(np.int64) - 255 * negative.reshape(len(negative), -1).sum(1)
    _check_sums(stage, bias, c)
    layout = ChannelRecord(c)
    offset = layout["scale"].offset
    value = (bias & ((1 << offset) - 1)) | (layer.scale.astype(np.int64) & 0xFFFF) << offset
    count = words_of(layout, c.program_bits)
    assert layout.size <= 63
    shifts = np.arange(count) * c.program_bits
    word = value[:, None] >> shifts if c.program_bits < 64 else value[:, None]
    return (word & ((1 << min(c.program_bits, 63)) - 1)).astype(np.uint64)


def _check_sums(stage: Stage, bias: np.ndarray, c: Configuration) -> None:
    """Refuse biases that the post-processor cannot add."""
    kept = stage.layer.mask.reshape(len(bias), -1).sum(1)
    # A number of n bits, or the complement of a negative one, needs a bit more with its sign.
    extreme = np.maximum(bias + 255 * kept, ~bias)
    channel = int(extreme.argmax())
    bits = int(extreme[channel]).bit_length() + 1
    if bits > c.bias_bits:
        raise InputError(
            f"layer {stage.name!r}: bias: {int(stage.layer.bias[channel])} of output channel "
            f"{channel} and its weights need {bits} bits, has {c.bias_bits}: raise bias_bits"
        )
