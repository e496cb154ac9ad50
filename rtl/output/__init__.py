"""From accumulators to outputs, and where these go.

::

    array/ ─► sum buffer ─► post lanes ─► store ─┬─► activation writer ─► activations/
    residual queue ──────────┘             ▲     └─► result sender ─► result
                            image ─────────┘

Tile slots tell the window when the next pixel tile's sums may come.
"""
