"""The engine in Amaranth: from three streams to Verilog.

::

    program ─► program/ ─► masks/ ─────────► array/ ─► output/ ─┬─► result
                                               ▲                │
    image ───► output/ ──────► activations/ ───┘ ◄──────────────┘

A mask goes from left to right in the upper row. An activation goes round: what the store writes,
the next layer reads. `configuration` says how large all of it is and how it is built, `engine`
connects it, `verilog` writes it down; `primitives` serve all rooms.
"""
