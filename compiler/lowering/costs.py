"""Roughly how long a stage takes, to choose between ways that end alike."""

from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.masks.timing import step_period
from hiddenite.rtl.output.residual_queue import queues_residuals
from hiddenite.rtl.output.timing import output_beats, tile_period
from hiddenite.rtl.program.layer_memory import load_cycles
from hiddenite.rtl.program.layer_table import LayerTable

__all__ = ["stage_cycles"]


def stage_cycles(
    c: Configuration,
    shape: tuple[int, int, int],
    images: int,
    *,
    steps: int,
    conv: bool,
    residual: bool = False,
) -> int:
    """Cycles of a stage whose output, stored plainly, has this shape.

    Parameters
    ----------
    c : Configuration
    shape : (int, int, int)
    images : int
    steps : int
        Of a pixel tile, for each tile of channels.
    conv, residual : bool
        It is one; it has one.
    """
    height, width, channels = shape
    words = c.och // c.unit if residual else 0
    beats = output_beats(c, conv, channels, pixels=c.post_pixels)
    period = tile_period(c, beats=beats, to_result=False, residual=residual)
    if not queues_residuals(c):
        period += words
    share = c.och if conv else c.unit
    tiles = -(-height // c.rows) * -(-width // c.cols)
    tile_cycles = images * tiles * max(steps + words, period)
    if conv:
        # A lane of the constructor ends each word that a tile has, pruned or not.
        slices = -(-min(channels, c.och) // c.constructor_lanes)
        tile_cycles = max(tile_cycles, slices * steps * step_period(c))
    # Its table may keep the program stream from bringing weights.
    table = LayerTable(c).columns * LayerTable(c).depth + load_cycles(c)
    return -(-channels // share) * tile_cycles + table
