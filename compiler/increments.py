"""What a layer's table adds to its addresses, loop by loop: see `LayerTable` of the program.

Each number leads from the last word of the loops inside to the first word of the next turn.
"""

from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import Operation

from .layout import Layout
from .stage import Stage, tile_channels

__all__ = ["residual_increments", "store_increments", "window_increments"]


class _Axis:
    """A tensor along one axis: addresses, and what a step of a pixel adds to them."""

    def __init__(self, layout: Layout, axis: int, c: Configuration):
        self.banks = (c.rows, c.cols)[axis]
        self.phases = layout.phases[axis]
        self.plane_step, self.row_step = layout.plane_steps[axis], layout.row_steps[axis]

    def address(self, position: int) -> int:
        q, phase = divmod(position, self.phases)
        return phase * self.plane_step + q // self.banks * self.row_step

    def move(self, stride: int) -> int:
        """To the same place of the next pixel tile of a layer with this stride.

        Planes have the stride of the layer that reads them; with one bank, the stride is that of
        the rows.
        """
        return stride // self.phases * self.row_step

    def steps(self, name: str, pixels: int = 1) -> dict[str, int]:
        """To the next plane, to the first one again, and that in the next row of banks.

        With one bank there is one plane, and each pixel is in a row of its own. Steps of several
        pixels are those of one plane.
        """
        if self.banks == 1:
            return {f"{name}_row": pixels * self.row_step}
        wrap = -(self.phases - 1) * self.plane_step + pixels // self.banks * self.row_step
        return {
            f"{name}_step": self.plane_step,
            f"{name}_wrap": wrap,
            f"{name}_row": wrap + self.row_step,
        }


def _tiles(stage: Stage, c: Configuration) -> tuple[int, int]:
    """Pixel tiles along y and x."""
    return -(-stage.shape[0] // c.rows), -(-stage.shape[1] // c.cols)


def _positions(stage: Stage, axis: int, c: Configuration) -> tuple[int, int, int, int]:
    """Where taps are along an axis: the first one, to the next one, to that of the next pixel tile.

    And the size of the map. Lanes take what lies inside of it.
    """
    if stage.spread is not None:
        own = stage.spread[axis]
        return own.first, own.step, 0, own.size
    move = stage.stride[axis] * (c.rows, c.cols)[axis]
    size = stage.read.layout.shape[axis]
    return -stage.padding[axis], stage.dilation[axis], move, size


def _words_left_out(stage: Stage, c: Configuration) -> int:
    """Words of an output's pixel between those of a tile and those of the stage's next one."""
    return (stage.every - 1) * tile_channels(c) // c.ich


def window_increments(stage: Stage, c: Configuration) -> dict[str, tuple[int, int, int]]:
    """Address, y and x of the window, of each row of the table."""
    conv = stage.operation is Operation.CONV
    layout = stage.read.layout
    y, x = (_Axis(layout, axis, c) for axis in (0, 1))
    (kernel_y, kernel_x), (pad_y, pad_x) = stage.kernel, stage.padding
    dilation_y, dilation_x = stage.dilation
    tiles_y, tiles_x = _tiles(stage, c)
    (at_y, step_y, move_y, size_y), (at_x, step_x, move_x, size_x) = (
        _positions(stage, axis, c) for axis in (0, 1)
    )
    first_y, first_x = y.address(-pad_y), x.address(-pad_x)
    groups = layout.groups - 1 if conv else 0
    span_x = x.address((kernel_x - 1) * dilation_x - pad_x) - first_x + groups
    span = y.address((kernel_y - 1) * dilation_y - pad_y) - first_y + span_x
    tile_y, tile_x = y.move(stage.stride[0]), x.move(stage.stride[1])
    far_x = (tiles_x - 1) * tile_x
    far = (tiles_y - 1) * tile_y + far_x

    back_y, back_x = step_y * (1 - kernel_y), step_x * (1 - kernel_x)
    back = -span - far, back_y - (tiles_y - 1) * move_y, back_x - (tiles_x - 1) * move_x
    rows = {
        "next": (1, -size_y, -size_x),
        "tile_x": (tile_x - span, back_y, move_x + back_x),
        "tile_y": (tile_y - far_x - span, move_y + back_y, back[2]),
        "start": (stage.read.address + first_y + first_x, at_y, at_x),
    }
    if c.largest_batch > 1:
        rows["image"] = back[0] + layout.image_step, *back[1:]
    # From the last image back to the first one.
    back = back[0] - (layout.images - 1) * layout.image_step, *back[1:]
    rows["map"] = back
    word = "map_word" if c.ich > c.och else "map"
    rows[word] = (back[0] + (stage.input_step if conv else 1), *back[1:])
    for name, address in x.steps("x", dilation_x).items():
        rows[name] = address - groups, 0, step_x
    for name, address in y.steps("y", dilation_y).items():
        rows[name] = address - span_x, step_y, back_x
    return rows


def residual_increments(stage: Stage, c: Configuration) -> dict[str, int]:
    """Address of the residual, of each row of the table.

    As many words are read for a pixel tile as a tile of ``och`` channels has, which that of a pool
    has only where it is one.
    """
    layout = stage.added.layout
    y, x = layout.row_steps
    tiles_y, tiles_x = _tiles(stage, c)
    words = c.och // c.unit
    used = words if stage.operation is Operation.CONV else 1
    far_x = (tiles_x - 1) * x
    back = -(tiles_y - 1) * y - far_x
    rows = {
        "next": 1,
        "tile_x": x - words,
        "tile_y": y - far_x - words,
        "start": stage.added.address,
    }
    if c.largest_batch > 1:
        rows["image"] = back - words + layout.image_step
    back -= (layout.images - 1) * layout.image_step
    left_out = _words_left_out(stage, c)
    if c.ich > c.och:
        return rows | {"map": back - 1, "map_word": back + left_out}
    return rows | {"map": back - words + used + left_out}


def store_increments(stage: Stage, c: Configuration) -> dict[str, int]:
    """Address of the output, of each row of the table."""
    load, conv = stage.operation is Operation.LOAD, stage.operation is Operation.CONV
    layout = stage.written.layout
    y, x = (_Axis(layout, axis, c) for axis in (0, 1))
    last_y, last_x = (
        (size - 1) if load else -(-size // banks) * banks - 1
        for size, banks in zip(stage.shape[:2], (c.rows, c.cols), strict=True)
    )
    # Words of a pixel before the last one of a tile of output channels; of the image, of all.
    words = layout.groups if load else min(layout.groups, c.och // c.unit) if conv else 1
    words -= 1
    back = -y.address(last_y) - x.address(last_x)
    rows = {"next": 1, "start": stage.written.address}
    if c.largest_batch > 1:
        rows["image"] = back - words + layout.image_step
    back -= (layout.images - 1) * layout.image_step
    if c.ich > c.och:
        rows["map"] = back
    word = "map_word" if c.ich > c.och else "map"
    rows[word] = back + 1 + _words_left_out(stage, c)
    for name, address in x.steps("x").items():
        rows[name] = address - words
    for name, address in y.steps("y").items():
        rows[name] = address - x.address(last_x) - words
    if c.rows > 1:
        steps = y.steps("row")
        rows |= {name: steps[name] - words for name in ("row_step", "row_wrap")}
    return rows
