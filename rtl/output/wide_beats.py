"""Where outputs of several pixels go at once."""

from ..configuration import Configuration

__all__ = ["has_wide_beats", "may_skip_rows", "skips_rows"]


def may_skip_rows(c: Configuration) -> bool:
    """Whether an engine's wide beats can leave out rows: only if a beat is a row of several."""
    return c.rows > 1 and 1 < c.post_pixels == c.cols


def has_wide_beats(layer):
    """Whether a beat of a layer's outputs has `post_pixels` pixels of a row, from its descriptor.

    They are stored at once, each in a bank of its own: in the columns of one row of banks, which
    they are where the layer that reads them has a stride of 1 along it, or one of 2 that reads each
    second pixel only. The result stream takes one pixel at a time.
    """
    along = layer.store_x
    second = (along.phases_last == 1) & along.first_only
    return ~layer.to_result & ((along.phases_last == 0) | second)


def skips_rows(c: Configuration, layer):
    """Whether wide beats leave out each second row of a pixel tile, as nothing reads it."""
    if not may_skip_rows(c):
        return 0
    return has_wide_beats(layer) & (layer.store_y.phases_last == 1) & layer.store_y.first_only
