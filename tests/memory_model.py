"""What is in the activation memory while a program runs, word by word, without any values.

Knows nothing of how tensors were placed: runs through the stages in the order of the hardware (see
`hiddenite.rtl.activations.window` and `hiddenite.rtl.output.store`) and notes which channel of
which pixel of which tensor was written to each byte last.
"""

from itertools import product

import numpy as np
from rtl_helpers import is_kept, word_of_pixel

from hiddenite.rtl.program.packets import Operation

NOTHING = -1


class MemoryModel:
    """Runs stages; every read must find what it is for.

    Parameters
    ----------
    c : Configuration
    late : bool
        A stage's writes come after all of its reads; otherwise those of a pixel tile come at once,
        before the reads of the next one. What is right in both cases is right at any time between.
    """

    def __init__(self, c, late):
        self.c, self.late = c, late
        self.words = np.full((c.rows, c.cols, c.activation_words, c.ich), NOTHING)
        self.names = {}

    def run(self, stages):
        for stage in stages:
            writes = []
            for reads, made in self.pixel_tiles(stage):
                for name, placed, pixel, channels in reads:
                    self.read(name, placed, pixel, channels)
                writes += made
                if not self.late:
                    self.write(stage, writes)
                    writes = []
            self.write(stage, writes)

    def pixel_tiles(self, stage):
        """(reads, writes) of each pixel tile, of each tile of output channels."""
        c, (height, width, channels) = self.c, stage.shape
        load, conv = stage.operation is Operation.LOAD, stage.operation is Operation.CONV
        if load:
            for pixel in product(range(height), range(width)):
                yield [], [(pixel, range(channels))]
            return
        share = c.och if conv else c.unit
        source_name = stage.name if stage.layer is None else stage.layer.input
        in_height, in_width, in_channels = stage.source.layout.shape
        for first in range(0, channels, share):
            own = range(first, min(channels, first + share))
            read_channels = range(in_channels) if conv else own
            for top, left in product(range(0, height, c.rows), range(0, width, c.cols)):
                pixels = list(
                    product(
                        range(top, min(height, top + c.rows)),
                        range(left, min(width, left + c.cols)),
                    )
                )
                reads = []
                for (y, x), ky, kx in product(pixels, *map(range, stage.kernel)):
                    at_y = y * stage.stride[0] + ky - stage.padding[0]
                    at_x = x * stage.stride[1] + kx - stage.padding[1]
                    if 0 <= at_y < in_height and 0 <= at_x < in_width:
                        reads.append((source_name, stage.source, (at_y, at_x), read_channels))
                if stage.residual is not None:
                    reads += [(stage.layer.residual, stage.residual, p, own) for p in pixels]
                yield reads, [(pixel, own) for pixel in pixels] if stage.target else []

    def units(self, placed, pixel, channels):
        """Place of each unit that has some of these channels; its lanes, and its channels."""
        unit = self.c.unit
        for first in range(channels.start // unit * unit, channels.stop, unit):
            place = word_of_pixel(placed, *pixel, first // self.c.ich)
            lane = first % self.c.ich
            yield place, lane, range(first, min(first + unit, channels.stop))

    def tags(self, name, shape, pixel, channels):
        number = self.names.setdefault(name, len(self.names))
        first = (pixel[0] * shape[1] + pixel[1]) * shape[2]
        return number << 32 | np.arange(first + channels.start, first + channels.stop)

    def read(self, name, placed, pixel, channels):
        for place, lane, own in self.units(placed, pixel, channels):
            found = self.words[place][lane : lane + len(own)]
            expected = self.tags(name, placed.layout.shape, pixel, own)
            assert (found == expected).all(), (name, pixel, own)

    def write(self, stage, writes):
        for pixel, channels in writes:
            if not is_kept(stage.target.layout, *pixel):
                continue
            for place, lane, own in self.units(stage.target, pixel, channels):
                word = self.words[place]
                word[lane : lane + self.c.unit] = NOTHING
                word[lane : lane + len(own)] = self.tags(stage.name, stage.shape, pixel, own)
