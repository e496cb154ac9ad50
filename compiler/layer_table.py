"""Layer tables of a program: what the engine needs to know of each stage."""

from typing import Any

import numpy as np

from hiddenite.golden.network import AvgPool, Conv
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.layer_table import (
    FAR_SHIFT,
    Increment,
    LayerDescriptor,
    LayerTable,
    TablePart,
)
from hiddenite.rtl.program.packets import Operation

from .increments import residual_increments, store_increments, window_increments
from .packing import number_words
from .stage import Stage

__all__ = ["layer_table"]


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
        "int8": stage.output_type == "int8",
        "int32": stage.output_type == "int32",
        "source_int8": stage.source_type == "int8",
        "residual_int8": stage.residual_type == "int8",
        "tiles_last": -(-channels // share) - 1,
        "beats_last": last // c.post_lanes,
        "lanes_last": last % c.post_lanes,
        "images_last": stage.images - 1,
        "scale": 2,
        "large_tiles": True,
        "residual": stage.residual is not None,
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
    if stage.source_type == "int8" and not isinstance(layer, Conv):
        fields["less_taps"] = -stage.summed % (1 << LayerDescriptor(c)["less_taps"].width)
    if isinstance(layer, Conv):
        groups = stage.read.layout.groups
        fields |= {
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
            "bank_step": stage.dilation[axis] % banks,
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


def layer_table(stage: Stage, c: Configuration) -> tuple[TablePart, np.ndarray]:
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
    return parts, np.concatenate([number_words(row, size, c.program_bits) for row in rows])
