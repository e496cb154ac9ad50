"""What is in the activation memory while a program runs, word by word, without any values.

Knows nothing of how tensors were placed: runs through the stages in the order of the hardware (see
`hiddenite.rtl.activations.window` and `hiddenite.rtl.output.store`) and notes for each byte which
channel of which pixel of which tensor was written there last. Stages that only move activations
move these notes.
"""

from dataclasses import replace
from itertools import product

import numpy as np
from rtl_helpers import is_kept, word_of_pixel

from hiddenite.compiler.stage import tile_channels
from hiddenite.golden.network import Concat, Conv, Upsample
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

    def run(self, stages):
        for stage in stages:
            writes = []
            for corner, pixels, own in self.pixel_tiles(stage):
                writes += [(p, own, self.output(stage, corner, p, own)) for p in pixels]
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

    def places(self, stage, own):
        """Where some of a stage's output channels lie in the view that it writes."""
        share = tile_channels(self.c)
        behind = own.start // share * (stage.every - 1) * share
        return range(own.start + behind, own.stop + behind)

    def picks(self, stage, own):
        """What a stage reads of a pixel at each tap for a tile of output channels.

        Yields the tap, and the channels of the view and of the layer's input that belong together.
        """
        layer, conv = self.layers[stage.name], stage.conv
        made = self.places(stage, own)
        for ky, kx in product(*map(range, stage.kernel)):
            apart = ky * stage.dilation[0], kx * stage.dilation[1]
            pairs = set()
            for channel, place in zip(own, made, strict=True):
                read = np.flatnonzero(conv.mask[channel, ky, kx])
                if not isinstance(layer, Conv):
                    pairs |= {(int(read[0]), place)}
                    assert len(read) == 1
                    continue
                output = stage.first_channel + place
                (y, rest_y), (x, rest_x) = map(divmod, apart, layer.dilation)
                mask = np.zeros(0) if rest_y or rest_x else layer.mask[output, y, x]
                wanted = np.flatnonzero(mask)
                wanted += output // (layer.out_channels // layer.groups) * layer.mask.shape[3]
                assert len(read) == len(wanted)
                pairs |= set(zip(read.tolist(), wanted.tolist(), strict=True))
            yield apart, sorted(pairs)

    def output(self, stage, corner, pixel, own):
        """What a stage makes of what it reads for some channels of a pixel."""
        places = self.places(stage, own)
        made = range(stage.first_channel + places.start, stage.first_channel + places.stop)
        layer = self.layers.get(stage.name)
        if stage.kind == "copy":
            return self.read(stage.source, pixel, own)
        if stage.kind == "upsample":
            return self.read(stage.source, self.repeated(stage, corner, pixel), own)
        if stage.kind == "concat":
            (_, pairs), *_ = self.picks(stage, own)
            found = {to: self.read_of_tile(stage, pixel, at, own) for at, to in pairs}
            return [found[place] for place in places]
        if stage.kind != "load":
            self.check_window(stage, pixel, own)
        if stage.residual is not None:
            self.check(layer.residual, stage.residual, pixel, places, stage.first_channel)
        return self.notes(stage.name, pixel, made)

    def check_window(self, stage, pixel, own):
        """Every tap that lies in the map finds what it is for."""
        layer = self.layers[stage.name]
        height, width, _ = stage.source.layout.shape
        conv = stage.operation is Operation.CONV
        taps = [((ky, kx), ()) for ky, kx in product(*map(range, stage.kernel))]
        for (ky, kx), pairs in self.picks(stage, own) if conv else taps:
            y = pixel[0] * stage.stride[0] + ky - stage.padding[0]
            x = pixel[1] * stage.stride[1] + kx - stage.padding[1]
            if not (0 <= y < height and 0 <= x < width):
                continue
            if not conv:
                self.check(layer.input, stage.source, (y, x), own, 0)
            for at, channel in pairs:
                right = self.notes(layer.input, (y, x), range(channel, channel + 1))
                assert self.read_of_tile(stage, (y, x), at, own) == right[0]

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

    def read_of_tile(self, stage, pixel, channel, own):
        """Channel of a pixel, counted from the first one that is read for a tile of outputs."""
        step = own.start // tile_channels(self.c) * stage.input_step
        source = replace(stage.source, address=stage.source.address + step)
        return self.read(source, pixel, range(channel, channel + 1))[0]

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
            places = self.places(stage, channels)
            for first in range(places.start // unit * unit, places.stop, unit):
                word = self.words[word_of_pixel(stage.target, *pixel, first // self.c.ich)]
                lane, at = first % self.c.ich, first - places.start
                word[lane : lane + unit] = NOTHING
                word[lane : lane + len(notes[at : at + unit])] = notes[at : at + unit]
