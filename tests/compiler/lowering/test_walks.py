import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS

from hiddenite.compiler.lowering.walks import walks
from hiddenite.compiler.stage import tile_channels
from hiddenite.rtl.configuration import PRESETS

ALL = CONFIGURATIONS | PRESETS


def groups_of(groups, inputs, outputs):
    """First and last input channel of each output channel of groups of so many channels."""
    first = np.arange(groups).repeat(outputs) * inputs
    return first, first + inputs - 1


def steady(channels, words):
    """Cycles of stages that take 100 to begin."""
    return 100 + -(-channels // 4) * 8 * words


def shown(found):
    return [(w.first, w.count, w.every, w.word, w.words, w.step) for w in found]


@pytest.mark.parametrize("name", ALL)
def test_every_channel_once_and_all_that_it_sees(name):
    c = ALL[name]
    rng = np.random.default_rng(1)
    for _ in range(40):
        groups, inputs, outputs = (int(n) for n in rng.integers(1, (40, 24, 24)))
        first, last = groups_of(groups, inputs, outputs)
        some = rng.random() < 0.3
        found = walks(c, first, last, None if some else steady)
        assert len(found) == 1 or not some
        channels = np.concatenate([walk.channels for walk in found])
        assert sorted(channels) == list(range(groups * outputs))
        for walk in found:
            own = walk.channels
            assert walk.first % c.ich == 0 and len(own) == walk.count
            assert walk.whole == (len(own) == groups * outputs)
            assert (walk.origins <= first[own]).all()
            assert (walk.origins + walk.inputs > last[own]).all()
            # From tile to tile it goes on evenly.
            tiles = walk.origins[:: tile_channels(c)]
            assert set(np.diff(tiles)) <= {walk.step * c.ich}


@pytest.mark.parametrize("name", ALL)
def test_a_depthwise_conv_is_one_stage_of_a_tiles_words(name):
    c = ALL[name]
    words = tile_channels(c) // c.ich
    found = walks(c, *groups_of(20 * c.och, 1, 1), steady)
    assert shown(found) == [(0, 20 * c.och, 1, 0, words, words)]


SQUARE = CONFIGURATIONS["square"]  # ich and och are 4


def test_tiles_take_turns():
    found = walks(SQUARE, *groups_of(4 * 10, 1, 2), steady)
    assert shown(found) == [(0, 40, 2, 0, 1, 1), (4, 40, 2, 0, 1, 1)]
    found = walks(SQUARE, *groups_of(9, 4, 12), steady)
    assert shown(found) == [(first, 36, 3, 0, 1, 1) for first in (0, 4, 8)]


def test_the_last_tile_may_be_no_full_one():
    assert [walk.count for walk in walks(SQUARE, *groups_of(23, 1, 2), steady)] == [24, 22]


def test_large_groups_are_ranges():
    found = walks(SQUARE, *groups_of(2, 64, 40), steady)
    assert shown(found) == [(0, 40, 1, 0, 16, 0), (40, 40, 1, 16, 16, 0)]
    # A tile that two of them share.
    found = walks(SQUARE, *groups_of(2, 62, 38), steady)
    assert shown(found) == [(0, 36, 1, 0, 16, 0), (36, 4, 1, 0, 31, 0), (40, 36, 1, 15, 16, 0)]


def test_a_stage_that_takes_long_to_begin_has_all():
    found = walks(SQUARE, *groups_of(2, 64, 40), lambda channels, words: 10_000 + words)
    # The first tile's words begin before the pixel's own.
    assert shown(found) == [(0, 80, 1, -9, 31, 1)]


def test_words_that_do_not_fit():
    def cycles(channels, words):
        return np.inf if words > 20 else 1

    found = walks(SQUARE, *groups_of(2, 64, 40), cycles)
    assert [walk.words for walk in found] == [16, 16]
    # What does not fit at all is refused later, whole.
    assert shown(walks(SQUARE, *groups_of(2, 84, 40), cycles)) == [(0, 80, 1, -18, 40, 2)]
