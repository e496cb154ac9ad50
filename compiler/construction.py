"""How long the constructor takes for each tile: the timing of `hiddenite.rtl.constructor`.

A lane's own work follows from its mask; it is counted once, as if words were always there. How long
lanes wait for words and for one another is then followed word by word.
"""

from collections.abc import Iterator

import numpy as np

from hiddenite.golden.rice import Pieces, RiceCode
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.mask_expander import WINDOW_BITS

__all__ = ["construction_cycles"]

KEY_CYCLES = 5
"""From a channel's key to its first weight."""

FIRST_CYCLES = 5
"""From the first cycle of a tile to its first weight."""


class _LaneWork:
    """One lane's work for a layer, in cycles from the first weight of each tile.

    Positions are numbers of weights before them. A cycle goes by for each word that ends, for each
    weight that is kept unless it ends a word, for each piece that keeps none, and between rows and
    channels.
    """

    def __init__(self, mask: np.ndarray, pieces: Pieces, used: int, words: range, c: Configuration):
        channels, rows, segments, length = mask.shape
        flat, count = mask.reshape(-1), mask.size
        row, size = segments * length, rows * segments * length
        share = c.och // c.constructor_lanes * size
        in_segment = np.append(np.arange(c.ich, length, c.ich), length)
        ends = (np.arange(channels * rows * segments)[:, None] * length + in_segment).reshape(-1)
        kept = np.flatnonzero(flat)
        both = ends[flat[ends - 1]]
        passed = np.append(pieces.start[1:], count)
        skips = passed[~flat[np.minimum(passed, count) - 1]]

        def work(position: np.ndarray) -> np.ndarray:
            channel = np.maximum(position - 1, 0) // size
            return (
                np.searchsorted(ends, position, "right")
                + np.searchsorted(kept, position, "left")
                - np.searchsorted(both, position, "right")
                + np.searchsorted(skips, position, "right")
                + np.maximum(position - 1, 0) // row
                + channel * (KEY_CYCLES - 1)
            )

        tiles = -(-count // share)
        begins = np.arange(tiles) * share
        finish = np.minimum(begins + share, count)
        # The first weight's cycle, less the cycles between channels that come before it.
        start = work(begins) + (begins > 0) * KEY_CYCLES
        first = np.searchsorted(pieces.start, begins)
        fresh = np.append(pieces.start, -1)[first] == begins
        self.cycles = work(finish) - start + fresh

        # When each word is first needed, and when its last byte has moved on.
        word_bytes = c.program_bits // 8
        tile = pieces.start // share
        load = work(pieces.start) - start[tile] + fresh[tile]
        load[first[fresh]] -= 1
        before = used + np.concatenate([[0], np.cumsum(pieces.length)])
        byte = (before[:-1] + WINDOW_BITS) // 8 - 1
        number = np.arange(words.start, words.stop)
        needed = np.searchsorted(byte, number * word_bytes)
        enough = 8 * (number + 1) * word_bytes - WINDOW_BITS
        emptied = np.searchsorted(before, enough) - 1
        # The second byte that a piece makes room for comes a cycle later.
        second = before[emptied] < enough - 8
        never = np.iinfo(np.int64).max // 2
        self.need = np.append(load, never)[needed]
        self.need_tile = np.append(tile, tiles)[needed]
        self.need_byte = np.minimum(
            np.append(byte, 0)[needed] - number * word_bytes, word_bytes - 1
        )
        self.empty = np.where(emptied < 0, -never, np.append(load, never)[emptied] + second)
        self.empty_tile = np.where(emptied < 0, -1, np.append(tile, tiles)[emptied])
        self.first_word = words.start


def construction_cycles(
    mask: np.ndarray,
    code: RiceCode,
    used: np.ndarray,
    taken: np.ndarray,
    before: np.ndarray,
    c: Configuration,
) -> Iterator[int]:
    """Cycles from the start of each tile of a layer until all lanes are done with it.

    Parameters
    ----------
    mask : numpy.ndarray of bool
        O x KH x KW x C.
    code : RiceCode
    used : numpy.ndarray
        Bits that each lane has used before the layer.
    taken : numpy.ndarray
        Words that each lane has taken at the end of each tile, tiles x lanes.
    before : numpy.ndarray
        Words that each lane has taken before the layer.
    """
    lanes = c.constructor_lanes
    size = c.program_bits // 8
    works = []
    for lane in range(lanes):
        own = mask[lane::lanes]
        if len(own) == 0:
            works.append(None)
            continue
        words = range(int(before[lane]), int(taken[-1, lane]))
        works.append(_LaneWork(own, code.encode(own.reshape(-1)), int(used[lane]), words, c))
    for tile, after in enumerate(taken):
        yield _tile_cycles(works, tile, [int(n) for n in before], [int(n) for n in after], size)
        before = after


def _tile_cycles(
    works: list[_LaneWork | None], tile: int, before: list[int], after: list[int], word_bytes: int
) -> int:
    """Follow the words of one tile as they are dealt: word ``before`` up to ``after`` of each lane.

    A lane that waits for a word does everything after it later by as much.
    """
    lanes = range(len(works))
    active = [work is not None and tile < len(work.cycles) for work in works]
    late = [FIRST_CYCLES] * len(works)
    free = [0] * len(works)
    number = list(before)
    remaining = sum(after) - sum(before)

    def done(lane: int) -> int:
        return int(works[lane].cycles[tile]) + late[lane] if active[lane] else 0

    now, lane = 0, 0
    while remaining:
        if number[lane] < after[lane]:
            # The lane takes the word when its hold is empty.
            now = max(now, free[lane])
            free[lane] = now + word_bytes
            work = works[lane]
            index = number[lane] - work.first_word if work is not None else -1
            if work is not None and 0 <= index < len(work.need):
                if work.need_tile[index] == tile:
                    wait = now + 2 + int(work.need_byte[index] - work.need[index])
                    late[lane] = max(late[lane], wait)
                if work.empty_tile[index] == tile:
                    free[lane] = max(free[lane], int(work.empty[index]) + late[lane])
            number[lane] += 1
            remaining -= 1
        else:
            # It is left out, but only when it is done.
            now = max(now, done(lane))
        now += 1
        lane = (lane + 1) % len(works)
    return max(now, *map(done, lanes))
