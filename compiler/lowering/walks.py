"""Which words of an input pixel the tiles of output channels of a conv read.

An output channel may see few of the input channels: those of its group, or the one that it picks.
A stage reads as many words at each tap for one tile of output channels as for another; those of the
next tile begin so many words further on. A conv whose channels are not that even is divided::

    a range of output channels after the other         or, of the tiles, each n-th one

    outputs   0 ───── 15 16 ──── 47 48 ── 63           0 ─ 15 16 ─ 31 32 ─ 47 48 ─ 63
    stage     └─── 1 ──┘ └── 2 ───┘ └─ 3 ──┘           └ 1 ─┘ └─ 2 ─┘ └─ 1 ─┘ └─ 2 ─┘
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from hiddenite.compiler.stage import tile_channels
from hiddenite.rtl.configuration import Configuration

__all__ = ["Walk", "walks"]

_MOST_EVERY = 16
"""Stages that take turns with the tiles, at most."""

_WORTH = 0.95
"""Share of the cycles of one stage that several take at most: each has a table in the program."""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Output channels of one stage, and the words of an input pixel that it reads for them.

    Attributes
    ----------
    c : Configuration
    whole : bool
        It has all output channels.
    first, count : int
        The first output channel, which begins a word, and how many there are.
    every : int
        It has each so many-th one of the tiles from the first channel on.
    word, words : int
        First word of an input pixel that is read for the first tile, which may lie before the
        pixel's own; how many are read.
    step : int
        Words from a tile's first word to the next tile's.
    """

    c: Configuration
    whole: bool
    first: int
    count: int
    every: int = 1
    word: int
    words: int
    step: int = 0

    @property
    def inputs(self) -> int:
        """Input channels that it reads for a tile, as many as fill words."""
        return self.words * self.c.ich

    @property
    def channels(self) -> np.ndarray:
        """Its output channels, in order."""
        tile, place = np.divmod(np.arange(self.count), tile_channels(self.c))
        return self.first + tile * self.every * tile_channels(self.c) + place

    @property
    def origins(self) -> np.ndarray:
        """Input channel at which the words of each output channel begin."""
        tile = np.arange(self.count) // tile_channels(self.c)
        return (self.word + tile * self.step) * self.c.ich


class _Words:
    """First and last word that each word of output channels needs."""

    def __init__(self, c: Configuration, first: np.ndarray, last: np.ndarray):
        self.c, self.outputs = c, len(first)
        begins = np.arange(0, self.outputs, c.ich)
        self.low = np.minimum.reduceat(first // c.ich, begins)
        self.high = np.maximum.reduceat(last // c.ich, begins)
        self.tile = tile_channels(c) // c.ich
        tiles = max(1, -(-len(begins) // self.tile) - 1)
        # Words from tile to tile, on the average.
        self.slope = int(self.low[-1] - self.low[0]), tiles

    def steps(self, every: int = 1) -> list[int]:
        """Words that may be gone on by from a tile to the next one but ``every`` - 1."""
        rise, tiles = self.slope
        near = rise * every // tiles
        return [0, *(step for step in (near, near + 1) if step > 0)]

    def ranges(self, begin: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """First word and words of the stages from a word of outputs to each of those behind it."""
        at = step * (np.arange(len(self.low) - begin) // self.tile)
        word = np.minimum.accumulate(self.low[begin:] - at)
        return word, np.maximum.accumulate(self.high[begin:] - at) - word + 1

    def walk(self, begin: int, end: int) -> Walk:
        """One stage for the words of outputs from one up to another."""
        found = []
        for step in self.steps():
            word, words = (int(each[end - 1 - begin]) for each in self.ranges(begin, step))
            found.append((words, step, word))
        words, step, word = min(found)
        return self._walk(
            first=begin * self.c.ich,
            count=min(self.outputs, end * self.c.ich) - begin * self.c.ich,
            word=word,
            words=words,
            step=step,
        )

    def _walk(self, *, count: int, **fields: int) -> Walk:
        return Walk(c=self.c, whole=count == self.outputs, count=count, **fields)

    def turn(self, turn: int, every: int) -> Walk:
        """One stage for each so many-th tile, from one of the first ones on."""
        tiles = -(-len(self.low) // self.tile)
        own = range(turn, tiles, every)
        lows = [self.low[t * self.tile : (t + 1) * self.tile].min() for t in own]
        highs = [self.high[t * self.tile : (t + 1) * self.tile].max() for t in own]
        found = []
        for step in self.steps(every):
            at = step * np.arange(len(own))
            word = int((lows - at).min())
            found.append((int((highs - at).max()) - word + 1, step, word))
        words, step, word = min(found)
        share = tile_channels(self.c)
        beyond = max(0, (own[-1] + 1) * share - self.outputs)
        return self._walk(
            first=turn * share,
            count=len(own) * share - beyond,
            every=every,
            word=word,
            words=words,
            step=step,
        )


def walks(
    c: Configuration,
    first: np.ndarray,
    last: np.ndarray,
    cycles: Callable[[int, int], float] | None,
) -> list[Walk]:
    """Divide a conv into as many stages as take the fewest cycles, if that is worth it.

    Parameters
    ----------
    c : Configuration
    first, last : numpy.ndarray of int
        The first and the last input channel that each output channel may see.
    cycles : callable, optional
        Cycles of a stage of so many output channels that reads so many words at each tap; infinite
        where the engine has no room for them. None for one stage, whatever it takes.
    """
    needs = _Words(c, first, last)
    count = len(needs.low)
    whole = needs.walk(0, count)
    if cycles is None:
        return [whole]
    cycles = cache(cycles)

    # From word to word of the outputs: the least cycles so far, and where the last stage begins.
    least, origin = [0.0, *[np.inf] * count], [0] * (count + 1)
    for begin in range(count):
        words = np.min([needs.ranges(begin, step)[1] for step in needs.steps()], axis=0)
        for end, own in enumerate(words.tolist(), begin + 1):
            channels = min(needs.outputs, end * c.ich) - begin * c.ich
            total = least[begin] + cycles(channels, own)
            if total < least[end]:
                least[end], origin[end] = total, begin
    best, found = least[count], []
    end = count if np.isfinite(best) else 0
    while end > 0:
        found.append(needs.walk(origin[end], end))
        end = origin[end]
    found.reverse()

    for every in range(2, 1 + min(_MOST_EVERY, -(-count // needs.tile))):
        turns = [needs.turn(turn, every) for turn in range(every)]
        total = sum(cycles(walk.count, walk.words) for walk in turns)
        if total < best:
            best, found = total, turns
    if best > _WORTH * cycles(whole.count, whole.words):
        return [whole]
    return found or [whole]
