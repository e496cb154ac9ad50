"""From accumulators to outputs, and where these go.

::

    array/ ─► sum buffer ─► post lanes ─► store ─┬─► activations/
                            image ─────►         └─► result queue ─► result
"""
