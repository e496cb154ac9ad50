"""On-chip model construction: from a compressed mask and a key to masks and signs.

::

    words ─► constructor ─► lane: mask expander ─┬─► tile buffer ─► array/
                                  sign generator ┘
"""
