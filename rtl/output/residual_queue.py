"""Residuals of the pixel tiles that are on their way through the array.

::

    pixels ─► memory for each byte of a word ─► pixels' words ─► a beat's bytes ─► added
              (slots x words of a pixel tile)

A residual is read just before the last step of its pixel tile and is added to sums that come
`array_latency` later. By then the words of following tiles have come, which wait here.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..array.timing import activation_skew, array_latency
from ..configuration import Configuration
from ..primitives.delay import delayed
from ..primitives.memory import MemoryShape
from .sum_buffer import pixels_of_beat, sum_buffer_latency

__all__ = ["ResidualQueue", "queues_residuals", "residual_memory"]


def queues_residuals(c: Configuration) -> bool:
    """The words of a residual never wait for those before them.

    Where the sum buffer shifts, the residual shifts along (`hiddenite.rtl.output.residual_buffer`).
    """
    return c.pipelining > 0 or c.post_pixels > 1


def _slots(c: Configuration) -> int:
    """Pixel tiles whose residuals there is room for.

    One whose beats are given, the next one, and as many as begin while sums go through the array;
    last steps are apart by a beat for each pixel, and by the words that are read between them.
    """
    apart = max(2, c.banks, 1 + c.och // c.unit)
    return 1 << ceil_log2(2 + -(-(array_latency(c) - 1) // apart))


def residual_memory(c: Configuration) -> MemoryShape:
    """The queue's memories: a byte of the word of each pixel."""
    depth = _slots(c) * c.och // c.unit
    return MemoryShape("residual queue", c.unit, depth, 8 * c.banks, 2, distributed=True)


class ResidualQueue(wiring.Component):
    """Takes the words of a residual and gives the bytes of a beat at a time.

    Latency from ``beat`` and ``pixel`` to ``added``: `sum_buffer_latency`.

    Members
    -------
    load, pixels : takes a word of the next pixel tile's residual; its part of the tile's channels
        comes first; byte i may be `activation_skew` late
    residual : the layer has a residual
    capture : the next pixel tile's sums are captured in this cycle
    pixel, beat : which pixel's outputs are given, see `SumBuffer`, and which beat of them
    added : bytes of the residual of a beat; 0 without ``residual``
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "load": In(1),
                "pixels": In(c.banks * c.ich * 8),
                "residual": In(1),
                "capture": In(1),
                "pixel": In(ceil_log2(c.banks)),
                "beat": In(ceil_log2(c.och // c.post_lanes)),
                "added": Out(c.post_pixels * c.post_lanes * 8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, depth = self.c, residual_memory(self.c).depth
        words = c.och // c.unit
        beats = c.unit // c.post_lanes
        split = ceil_log2(beats)

        slot, next_slot = Signal(range(depth // words)), Signal(range(depth // words))
        with m.If(self.capture & self.residual):
            m.d.sync += [slot.eq(next_slot), next_slot.eq(next_slot + 1)]
        read = Cat(self.beat[split:], slot)

        load, pixels = self.load, self.pixels
        if c.pipelining:
            load = delayed(m, load, "load_late")
            pixels = delayed(m, pixels, "pixels_late", reset_less=True)
        written = Signal(range(depth))
        with m.If(load):
            m.d.sync += written.eq(written + 1)
        skew, late = activation_skew(c)[: c.unit], 0
        of_pixel = []
        for byte in range(c.unit):
            while late < skew[byte]:
                late += 1
                load = delayed(m, load, f"load_{late}")
                written = delayed(m, written, f"written_{late}")
            m.submodules[f"byte_{byte}"] = queue = memory.Memory(
                shape=8 * c.banks, depth=depth, init=[], attrs={"no_rw_check": 1}
            )
            port, words_read = queue.write_port(), queue.read_port(domain="comb")
            m.d.comb += [
                port.en.eq(load),
                port.addr.eq(written),
                port.data.eq(Cat(pixels.word_select(n * c.ich + byte, 8) for n in range(c.banks))),
                words_read.addr.eq(read),
            ]
            bytes_read = [words_read.data.word_select(n, 8) for n in range(c.banks)]
            of_pixel.append(pixels_of_beat(c, bytes_read, self.pixel))

        # A beat of several pixels has all of their bytes. Other layers leave what was there.
        word = Cat(zip(*of_pixel, strict=True))
        if not c.pipelining:
            m.d.comb += self.added.eq(Mux(self.residual, word, 0))
            return m
        word = delayed(m, word, "word", reset_less=True)
        part = delayed(m, self.beat[:split], "part")
        added = delayed(m, word.word_select(part, len(self.added)), "bytes", reset_less=True)
        for turn in range(sum_buffer_latency(c) - 3):
            added = delayed(m, added, f"bytes_{turn}", reset_less=True)
        clear = delayed(m, ~self.residual, "clear")
        m.d.comb += self.added.eq(delayed(m, Mux(clear, 0, added), "added_bytes", reset_less=True))
        return m
