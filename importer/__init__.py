"""Turns quantised ONNX models (QONNX) into network files; needs ``hiddenite[import]``.

::

    model -> constants -> values ---------------> storing -> builder -> Network
    (file)   (folding)    (axes, elementwise,     (grid, steps, fitting)
                           quantisers, sums,
                           windows)                result: the last layer

A value of the model is an integer, an accumulator or an activation, and a chain of functions of it
alone. A quantiser ends a chain: for each channel, the accumulators at which its levels begin are
found, and `fitting` searches a scale, a bias and a shift that begin them at the same ones.
"""

from hiddenite.importer.convert import Imported, convert

__all__ = ["Imported", "convert"]
