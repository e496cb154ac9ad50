"""What follows a sum: the shift that rounds half up, and the clip to a type."""

import numpy as np


def shifted(v, shift, output_type):
    """Return (v + 2**(shift - 1)) >> shift, clipped to a type.

    Parameters
    ----------
    v : int64 array
        Overwritten.
    shift : int
        1 to 24.
    output_type : str or numpy.dtype
        An integer type of at most 32 bits.

    Returns
    -------
    int64 array
        It is `v`.
    """
    v += 1 << (shift - 1)
    v >>= shift
    limits = np.iinfo(output_type)
    return np.clip(v, limits.min, limits.max, out=v)
