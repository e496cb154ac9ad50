"""What is in the activation memory while a program runs, word by word, without any values.

Knows nothing of how tensors were placed: runs through the stages in the order of the hardware (see
`hiddenite.rtl.activations.window` and `hiddenite.rtl.output.store`) and notes for each byte which
channel of which pixel of which tensor was written there last. Stages that only move activations
move these notes.
"""

from itertools import product

import numpy as np
from rtl_helpers import is_kept, word_of_pixel

from hiddenite.golden.network import Concat, Upsample
from hiddenite.rtl.program.packets import Operation

NOTHING = -1


class MemoryModel:
    """Runs stages; every read must find what it is for.

    Parameters
    ----------
    network : Network
    c : Configuration
    late : bool
        A stage's writes come after all of its reads; otherwise those of a pixel tile come at once,
        before the reads of the next one. What is right in both cases is right at any time between.
    """

    def __init__(self, network, c, late):
        self.network, self.c, self.late = network, c, late
        self.layers = {layer.name: layer for layer in network.layers}
        self.numbers = {name: number for number, name in enumerate(network.shapes)}
        self.words = np.full((c.rows, c.cols, c.activation_words, c.ich), NOTHING)
        # Channels of each add that were made so far.
        self.added = dict.fromkeys(network.shapes, 0)

    def run(self, stages):
        for stage in stages:
            first = stage.first_channel
            if stage.kind == "add":
                first = self.added[stage.name]
                self.added[stage.name] += stage.shape[2]
            writes = []
            for corner, pixels, own in self.pixel_tiles(stage):
                writes += [(p, own, self.output(stage, corner, p, own, first)) for p in pixels]
                if not self.late:
                    self.write(stage, writes)
                    writes = []
            self.write(stage, writes)

    def pixel_tiles(self, stage):
        """First pixel, pixels, and output channels of each pixel tile."""
        c, (height, width, channels) = self.c, stage.shape
        load, conv = stage.operation is Operation.LOAD, stage.operation is Operation.CONV
        share, rows, cols = c.och if conv else c.unit, c.rows, c.cols
        if load:
            share, rows, cols = channels, 1, 1
        for first in range(0, channels, share):
            own = range(first, min(channels, first + share))
            for top, left in product(range(0, height, rows), range(0, width, cols)):
                lines = range(top, min(height, top + rows))
                yield (top, left), list(product(lines, range(left, min(width, left + cols)))), own

    def output(self, stage, corner, pixel, own, first):
        """What a stage makes of what it reads for some channels of a pixel."""
        made = range(first + own.start, first + own.stop)
        layer = self.layers.get(stage.name)
        if stage.kind == "copy":
            return self.read(stage.source, pixel, own)
        if stage.kind == "upsample":
            return self.read(stage.source, self.repeated(stage, corner, pixel), own)
        if stage.kind == "concat":
            found = self.read(stage.source, pixel, range(stage.source.layout.shape[2]))
            assert (stage.layer.mask[own].sum(axis=(1, 2, 3)) == 1).all()
            return [found[at] for at in stage.layer.mask[own, 0, 0].argmax(axis=1)]
        if stage.kind == "add":
            self.check(layer.input, stage.source, pixel, own, first)
        elif stage.kind != "load":
            self.check_window(stage, pixel, own)
        if stage.residual is not None:
            self.check(layer.residual, stage.residual, pixel, own, first)
        return self.notes(stage.name, pixel, made)

    def check_window(self, stage, pixel, own):
        """Every tap that lies in the map finds what it is for."""
        layer = self.layers[stage.name]
        height, width, channels = stage.source.layout.shape
        before = 0
        if stage.operation is Operation.CONV:
            own = range(channels)
            before = stage.first_channel // stage.shape[2] * channels
        for ky, kx in product(*map(range, stage.kernel)):
            y = pixel[0] * stage.stride[0] + ky - stage.padding[0]
            x = pixel[1] * stage.stride[1] + kx - stage.padding[1]
            if 0 <= y < height and 0 <= x < width:
                self.check(layer.input, stage.source, (y, x), own, before)

    def repeated(self, stage, corner, pixel):
        """Pixel of the source that an upsample's lane takes: that of one tap along each axis."""
        found = []
        for axis, spread in enumerate(stage.spread):
            lane = pixel[axis] - corner[axis]
            (tap,) = (
                tap
                for tap in range(spread.taps)
                if 0 <= spread.first + tap * spread.step + lane < spread.size
            )
            found.append(corner[axis] + tap - spread.before + lane)
        return found

    def notes(self, name, pixel, channels):
        """Which activations these are: number of the tensor that made them, and place in it."""
        layer = self.layers.get(name)
        if isinstance(layer, Upsample):
            y, x = (at // factor for at, factor in zip(pixel, layer.factor, strict=True))
            return self.notes(layer.input, (y, x), channels)
        if isinstance(layer, Concat):
            found, first = [], 0
            for source in layer.inputs:
                end = first + self.network.shapes[source][2]
                own = range(max(channels.start, first) - first, min(channels.stop, end) - first)
                found += self.notes(source, pixel, own)
                first = end
            return found
        _, width, count = self.network.shapes[name]
        place = (pixel[0] * width + pixel[1]) * count
        return [self.numbers[name] << 32 | place + channel for channel in channels]

    def check(self, name, placed, pixel, channels, first):
        """Some channels of a view, which begins with one of a tensor, are what they should be."""
        right = self.notes(name, pixel, range(first + channels.start, first + channels.stop))
        assert self.read(placed, pixel, channels) == right

    def read(self, placed, pixel, channels):
        ich = self.c.ich
        words = [
            self.words[word_of_pixel(placed, *pixel, group)]
            for group in range(channels.start // ich, -(-channels.stop // ich))
        ]
        first = channels.start // ich * ich
        return np.concatenate(words)[channels.start - first : channels.stop - first].tolist()

    def write(self, stage, writes):
        unit = self.c.unit
        for pixel, channels, notes in writes:
            if stage.target is None:
                assert notes == self.notes(stage.name, pixel, channels)
                continue
            if not is_kept(stage.target.layout, *pixel):
                continue
            # Whole units are written.
            for first in range(channels.start // unit * unit, channels.stop, unit):
                word = self.words[word_of_pixel(stage.target, *pixel, first // self.c.ich)]
                lane, at = first % self.c.ich, first - channels.start
                word[lane : lane + unit] = NOTHING
                word[lane : lane + len(notes[at : at + unit])] = notes[at : at + unit]
