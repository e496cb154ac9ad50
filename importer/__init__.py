"""Turns quantised ONNX models (QONNX) into network files; needs ``hiddenite[import]``.

::

    model ──► conversion ──► operators ──► elementwise, quantisers      functions of one number
    (file)    (node by node,    │     └──► sums, windows, shapes        sums, places
              constants)        ▼
                             storing ──► steps, fitting, ways, codes    quantised values
                                │
                                ▼
                             result ──► builder                         the last layer, the network

A value of the model is an integer, an accumulator or an activation, and a chain of functions of it
alone. A quantiser ends a chain: for each channel, the accumulators at which its levels begin are
found, and `fitting` searches a scale, a bias and a shift that begin them at the same ones.
"""

from hiddenite.importer.conversion import Imported, convert

__all__ = ["Imported", "convert"]
