"""Mask-and-accumulate array: och x rows x cols dot products over ich input channels.

A PE is ``mask AND (x XOR sign)``, an unsigned number of 8 bits: for an unsigned activation,
-x = (x XOR 255) - 255. Each kept negative weight therefore counts 255 too much, whatever the
activation (a zero of the padding included); the compiler takes it off the channel's bias.

::

    x ─ XOR sign ─ AND mask ─┐
    x ─ XOR sign ─ AND mask ─┤ + ─► + ─┬─► total
    ...                      ┘      ▲  │
                                    └─ accumulator
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .configuration import Configuration
from .shared_module import SharedModule

__all__ = ["DotProduct", "PEArray"]


class DotProduct(wiring.Component):
    """PEs of one output channel at one pixel, their adders and the accumulator.

    Parameters
    ----------
    ich : int
        Number of PEs.
    accumulator_bits : int
        Width of the accumulator.
    registered : bool
        A register after every level of the adder tree.

    Members
    -------
    pixel, mask, sign : operands
    add, first : add the operands of ``levels`` cycles ago; to nothing instead of the accumulator
    total : sum including this cycle's addition
    """

    def __init__(self, ich: int, accumulator_bits: int, registered: bool):
        self.ich, self.accumulator_bits, self.registered = ich, accumulator_bits, registered
        super().__init__(
            {
                "pixel": In(8 * ich),
                "mask": In(ich),
                "sign": In(ich),
                "add": In(1),
                "first": In(1),
                "total": Out(accumulator_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        terms = [
            (self.pixel.word_select(i, 8) ^ self.sign[i].replicate(8)) & self.mask[i].replicate(8)
            for i in range(self.ich)
        ]
        while len(terms) > 1:
            level = []
            for left, right in zip(terms[::2], terms[1::2], strict=True):
                term = left + right
                if self.registered:
                    register = Signal(len(term), reset_less=True)
                    m.d.sync += register.eq(term)
                    term = register
                level.append(term)
            terms = level
        accumulator = Signal(self.accumulator_bits, reset_less=True)
        m.d.comb += self.total.eq(Mux(self.first, 0, accumulator) + terms[0])
        with m.If(self.add):
            m.d.sync += accumulator.eq(self.total)
        return m


class PEArray(wiring.Component):
    """All dot products. Latency from the operands to ``totals``: ``tree_levels`` cycles.

    Members
    -------
    pixels : activation words, as `ActivationMemory` gives them
    masks, signs : ich bits for each output channel, as `TileBuffer` gives them
    valid, first, last : the operands are a step; the first or last one of a pixel tile
    totals : accumulators, output channel fastest, then column, then row
    done : ``totals`` is the sum of a whole pixel tile
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "pixels": In(c.banks * c.ich * 8),
                "masks": In(c.och * c.ich),
                "signs": In(c.och * c.ich),
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "totals": Out(c.banks * c.och * c.accumulator_bits),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        valid, first, last = self.valid, self.first, self.last
        for level in range(c.tree_levels):
            delayed = [Signal(name=f"{name}_{level}") for name in ("valid", "first", "last")]
            m.d.sync += [d.eq(s) for d, s in zip(delayed, (valid, first, last), strict=True)]
            valid, first, last = delayed
        m.d.comb += self.done.eq(valid & last)
        for pixel in range(c.banks):
            for channel in range(c.och):
                shared = SharedModule(
                    "dot_product", DotProduct, c.ich, c.accumulator_bits, c.tree_levels > 0
                )
                m.submodules[f"dot_{pixel}_{channel}"] = shared
                dot = shared.ports
                m.d.comb += [
                    dot.pixel.eq(self.pixels.word_select(pixel, 8 * c.ich)),
                    dot.mask.eq(self.masks.word_select(channel, c.ich)),
                    dot.sign.eq(self.signs.word_select(channel, c.ich)),
                    dot.add.eq(valid),
                    dot.first.eq(first),
                    self.totals.word_select(pixel * c.och + channel, c.accumulator_bits).eq(
                        dot.total
                    ),
                ]
        return m
