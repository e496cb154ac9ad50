"""Where tensors lie, and how a layer's window walks over them.

::

    layer table ─► window ─► activation memory ─► slices: banks, aligner, maximum ─► array/
"""
