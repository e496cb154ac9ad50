"""Where outputs of several pixels go at once."""

__all__ = ["has_wide_beats"]


def has_wide_beats(layer):
    """Whether a beat of a layer's outputs has `post_pixels` pixels of a row, from its descriptor.

    They are stored at once, each in a bank of its own: in the columns of one row of banks, which
    they are where the layer that reads them has a stride of 1 along it. The result stream takes one
    pixel at a time.
    """
    return ~layer.to_result & (layer.store_x.phases_last == 0)
