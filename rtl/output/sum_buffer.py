"""Sums of a pixel tile on their way to the lanes of the post-processor.

It takes a whole pixel tile at once, so that the array goes on with the next one at once. There are
three ways out, the long one with ``pipelining``, the wide one without it with ``post_pixels``::

    short:  totals ─► sums ─────────────────────────► post_lanes totals
                      (shifts by a beat)
    wide:   totals ─► sums ─► post_pixels pixels' ───► post_pixels x post_lanes totals
                      (stays)
    long:   totals ─► sums ─► pixels' ─► a beat's ───► post_pixels x post_lanes totals
                      (stays)

The short one takes a multiplexer of two inputs for each bit, and an enable that reaches all of
them; the others take fewer cells where wide multiplexers are cheap, and the long one has registers
between.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..array.timing import channel_delays
from ..configuration import Configuration
from ..interfaces import Sums
from ..primitives.delay import COPIES, delayed, delayed_copy

__all__ = ["SumBuffer", "pixels_of_beat", "sum_buffer_latency"]


def sum_buffer_latency(c: Configuration) -> int:
    """Cycles from the sum buffer's going on from a beat until it is given."""
    return 3 + _far(c) if c.pipelining else 0


def _far(c: Configuration) -> bool:
    """Sums are all over a large part: those of some channels come later than those of others."""
    return any(channel_delays(c))


class SumBuffer(wiring.Component):
    """Holds a pixel tile's totals, and gives a beat of them at a time.

    Latency from ``next`` to ``total``: `sum_buffer_latency` cycles. The short way gives all beats
    of each pixel, the long one those up to ``pixel_ends``.

    Members
    -------
    conv : the tile has ``och`` channels; of a pool, the first ``min(ich, och)`` of each pixel count
    sums : `Sums`, taken when they are done: those of each channel its `channel_delays` later;
        pixels' bits come their `pixel_delays` after the first one's
    next : goes on to the next beat
    beat, pixel_ends : which beat of a pixel is given, and whether it is its last one
    wide : a beat has `post_pixels` pixels; otherwise one, which comes first
    skip : behind each beat, as many pixels are left out; only with ``wide``
    pixel : which pixel's beat is given, or of several the first
    total : totals of a beat
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "conv": In(1),
                "sums": In(Sums(c)),
                "next": In(1),
                "beat": In(ceil_log2(c.och // c.post_lanes)),
                "pixel_ends": In(1),
                "wide": In(1),
                "skip": In(1),
                "pixel": Out(ceil_log2(c.banks)),
                "total": Out(c.post_pixels * c.post_lanes * c.accumulator_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        totals = Signal(c.banks * c.och * c.accumulator_bits, reset_less=True)
        if c.pipelining:
            self._long(m, totals)
        elif c.post_pixels > 1:
            self._wide(m, totals)
        else:
            self._short(m, totals)
        return m

    def _short(self, m: Module, totals):
        c, width = self.c, self.c.och * self.c.accumulator_bits
        with m.If(self.next):
            m.d.sync += totals.eq(totals >> len(self.total))
        captured = self.sums.totals
        if c.banks > 1 and c.och > c.unit:
            pixels = [captured.word_select(i, width) for i in range(c.banks)]
            pooled = Cat(pixel[: c.unit * c.accumulator_bits] for pixel in pixels)
            captured = Mux(self.conv, captured, Cat(pooled, captured[len(pooled) :]))
        with m.If(self.sums.done[0]):
            m.d.sync += totals.eq(captured)
        m.d.comb += self.total.eq(totals)

    def _wide(self, m: Module, totals):
        c = self.c
        with m.If(self.sums.done[0]):
            m.d.sync += totals.eq(self.sums.totals)
        m.d.sync += self.pixel.eq(self._following(m))
        pixels = [totals.word_select(i, len(totals) // c.banks) for i in range(c.banks)]
        m.d.comb += self.total.eq(Cat(pixels_of_beat(c, pixels, self.pixel)))

    def _following(self, m: Module) -> Signal:
        """Pixel of the next cycle's beat."""
        c, following = self.c, Signal.like(self.pixel, name="following")
        m.d.comb += following.eq(self.pixel)
        with m.If(self.sums.done[0]):
            m.d.comb += following.eq(0)
        with m.Elif(self.next & self.pixel_ends):
            step = Mux(self.wide, Mux(self.skip, 2 * c.post_pixels, c.post_pixels), 1)
            m.d.comb += following.eq(self.pixel + (step if c.post_pixels > 1 else 1))
        return following

    def _long(self, m: Module, totals):
        c = self.c
        per_pixel = c.och // c.post_lanes
        groups = self._groups()
        # They are taken as they come, and go in this order.
        width = c.accumulator_bits
        for number, own in enumerate(self.sums.done):
            for delay, channels in groups:
                if delay:
                    own = delayed_copy(m, own, f"capture_{number}_{delay}", number % 2)
                first = number * c.och * width
                part = slice(first + channels.start * width, first + channels.stop * width)
                with m.If(own):
                    m.d.sync += totals[part].eq(self.sums.totals[part])

        # What chooses the pixel: for channels that come later, later, too; and several registers,
        # as many take it.
        copies = min(COPIES, len(groups[0][1]))
        choices, before = [], self._following(m)
        for delay, _ in groups:
            names = [f"pixel_{delay}_{copy}" for copy in range(copies)]
            choices.append([delayed_copy(m, before, name, n) for n, name in enumerate(names)])
            before = choices[-1][0]
        m.d.comb += self.pixel.eq(choices[0][0])

        # The next tile may come in the cycle in which the last beat goes: it is read in that cycle.
        pixels = [totals.word_select(i, width * c.och) for i in range(c.banks)]
        of_pixel = []
        for (delay, channels), own in zip(groups, choices, strict=True):
            share = len(channels) // copies * width
            parts = (
                slice(at, at + share)
                for at in range(channels.start * width, channels.stop * width, share)
            )
            # A beat of several pixels has all of their channels.
            chosen = [
                pixels_of_beat(c, [value[part] for value in pixels], choice)
                for part, choice in zip(parts, own, strict=True)
            ]
            chosen = Cat(zip(*chosen, strict=True))
            of_pixel.append(delayed(m, chosen, f"of_pixel_{delay}", reset_less=True))
        beats = [Cat(of_pixel).word_select(i, len(self.total)) for i in range(per_pixel)]
        m.d.comb += self.total.eq(
            delayed(m, self._of_beat(m, beats), "beat_total", reset_less=True)
        )

    def _of_beat(self, m: Module, beats: list) -> Signal:
        """Beat of a pixel: two cycles later, or three where it comes from far."""
        if not _far(self.c):
            index = delayed(m, self.beat, "beat_of_pixel")
            return delayed(m, _select(beats, index), "of_beat", reset_less=True)
        middle, halves = len(beats) // 2, []
        for half, values in enumerate((beats[:middle], beats[middle:])):
            index = delayed_copy(m, self.beat, f"beat_{half}", half)
            value = _select(values, index[:-1])
            halves.append(delayed(m, value, f"of_half_{half}", reset_less=True))
        top = delayed_copy(m, index[-1], "half", 0)
        return delayed(m, _select(halves, top), "of_beat", reset_less=True)

    def _groups(self) -> list[tuple[int, range]]:
        """Channels that come together: how much later than the first ones, and which."""
        delays = channel_delays(self.c)
        return [
            (delay, range(delays.index(delay), delays.index(delay) + delays.count(delay)))
            for delay in sorted(set(delays))
        ]


def pixels_of_beat(c: Configuration, pixels: list, pixel) -> list:
    """What a beat has of each pixel, from that of all pixels of a tile.

    Only the first one can be any pixel; with it come those that lie behind it in its row.
    """
    groups = range(0, c.banks, c.post_pixels)
    index = pixel[ceil_log2(c.post_pixels) :]
    behind = range(1, c.post_pixels)
    return [
        _select(pixels, pixel),
        *(_select([pixels[g + k] for g in groups], index) for k in behind),
    ]


def _select(values: list, index):
    """One of the values, by the index's bits one after the other: each comes from its register."""
    for bit in index:
        values = [Mux(bit, odd, even) for even, odd in zip(values[::2], values[1::2], strict=True)]
    return values[0]
