"""Mask-and-accumulate array: och x rows x cols dot products over ich input channels."""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..configuration import Configuration
from ..interfaces import Sums, Weights
from ..primitives.delay import COPIES, delayed, delayed_copy
from ..primitives.shared_module import SharedModule
from .builds import build_of
from .timing import activation_skew, array_latency, channel_delays, pixel_delays, weight_skew

__all__ = ["PEArray"]


class PEArray(wiring.Component):
    """All dot products. Latency from the operands to ``sums``: `array_latency` cycles.

    That is for the first one; others come the `pixel_delays` of their pixel and the
    `channel_delays` of their channel later.

    Members
    -------
    pixels : activation words, as `ActivationMemory` gives them: byte i comes `activation_skew` late
    weights : `Weights`
    valid, first, last : the operands are a step; the first or last one of a pixel tile
    sums : `Sums`
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "pixels": In(c.banks * c.ich * 8),
                "weights": In(Weights(c)),
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "sums": Out(Sums(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, build = self.c, build_of(self.c)
        latency, late_pixels, late_channels = array_latency(c), pixel_delays(c), channel_delays(c)
        longest = latency + max(late_pixels)
        valid, first, last = (
            [getattr(self, name), *(Signal(name=f"{name}_{n}") for n in range(1, longest + 1))]
            for name in ("valid", "first", "last")
        )
        for flags in (valid, first, last):
            m.d.sync += [after.eq(before) for before, after in pairwise(flags)]
        # Pixels that are far from each other have registers of their own for them.
        far = any(late_pixels)

        operands: list[Value] = [self.pixels, self.weights.masks, self.weights.signs]
        if build.chained:
            # Registers of its own: the dot products that take an operand are all over the part.
            names = "all_pixels", "all_masks", "all_signs"
            operands = [
                delayed(m, value, name, reset_less=True)
                for name, value in zip(names, operands, strict=True)
            ]
        all_pixels, all_masks, all_signs = operands
        masks, signs = (
            [
                self._skewed(m, values.word_select(i, c.ich), 1, weight_skew(c), f"{name}_{i}")
                for i in range(c.och)
            ]
            for name, values in (("mask", all_masks), ("sign", all_signs))
        )
        for pixel, (before, late) in enumerate(pairwise((0, *late_pixels))):
            own = all_pixels.word_select(pixel, 8 * c.ich)
            for turn in range(late):
                own = delayed(m, own, f"pixel_{pixel}_late_{turn}", reset_less=True)
            own = self._skewed(m, own, 8, activation_skew(c), f"pixel_{pixel}")
            end = latency + late
            copy = pixel % COPIES if far else 0
            # A register: many take it. None that begins as 1: a reset must not announce sums.
            ended = valid[end - 1] & last[end - 1]
            m.d.comb += self.sums.done[pixel].eq(delayed_copy(m, ended, f"done_{pixel}", copy % 2))
            own_valid, own_first = valid[end - 1], first[end - 1]
            if far:
                own_valid = delayed_copy(m, valid[end - 2], f"valid_to_{pixel}", copy)
                own_first = delayed_copy(m, first[end - 2], f"first_to_{pixel}", copy)
            if late > before:
                masks = [
                    delayed(m, v, f"mask_{i}_{pixel}", reset_less=True) for i, v in enumerate(masks)
                ]
                signs = [
                    delayed(m, v, f"sign_{i}_{pixel}", reset_less=True) for i, v in enumerate(signs)
                ]
            for channel, (nearer, further) in enumerate(pairwise((0, *late_channels))):
                if further > nearer:
                    name = f"pixel_{pixel}_to_{channel}"
                    own = delayed(m, own, name, reset_less=True)
                    own_valid = delayed_copy(m, own_valid, f"valid_{name}", copy)
                    own_first = delayed_copy(m, own_first, f"first_{name}", copy)
                shared = SharedModule("dot_product", build.dot_product, c.ich, c.accumulator_bits)
                m.submodules[f"dot_{pixel}_{channel}"] = shared
                dot = shared.ports
                m.d.comb += [
                    dot.pixel.eq(own),
                    dot.mask.eq(masks[channel]),
                    dot.sign.eq(signs[channel]),
                    dot.valid.eq(Cat(valid[end - len(dot.valid) : end - 1], own_valid)),
                    dot.first.eq(own_first),
                    self.sums.totals.word_select(pixel * c.och + channel, c.accumulator_bits).eq(
                        dot.total
                    ),
                ]
        return m

    def _skewed(self, m, value, width, skew, name):
        """With chains, input i is i cycles late; all dot products that take it share its way.

        ``skew`` is how late it comes.
        """
        if not build_of(self.c).chained:
            return value
        inputs = [value.word_select(i, width) for i in range(self.c.ich)]
        missing = [i - late for i, late in enumerate(skew)]
        for turn in range(max(missing)):
            waiting = [i for i, cycles in enumerate(missing) if cycles > turn]
            late = delayed(m, Cat(inputs[i] for i in waiting), f"{name}_{turn}", reset_less=True)
            for place, i in enumerate(waiting):
                inputs[i] = late.word_select(place, width)
        return Cat(inputs)
