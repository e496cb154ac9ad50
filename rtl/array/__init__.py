"""The PEs: dot products of masked, signed activations, and their accumulators.

::

    masks, signs ─► PE array ─► dot product (tree, flip, chain or combinational) ─► output/
    activations ──►
"""
