"""How long the constructor takes for each tile: the timing of `hiddenite.rtl.masks.constructor`.

A lane's own work follows from its mask; it is counted once, as if words were always there. How long
lanes wait for words and for one another is then followed word by word.
"""

from collections.abc import Iterator

import numpy as np

from hiddenite.golden.rice import RiceCode

from ..configuration import Configuration
from ..program.packets import crc_words
from ..program.program_reader import CHECK_LATENCY
from .constructor import COMPLETE_LATENCY
from .decoders import decoder_of
from .dense_code import DenseCode
from .lane_work import DenseWork, LaneWork, RunWork
from .sign_generator import channel_cycles, turn_cycles

__all__ = ["construction_cycles"]

SIGNS_BEFORE_LAYER = 3
"""Cycles from ``start_layer`` to the first word of a channel record, as the signs count them."""

SIGNS_BEFORE_TILE = COMPLETE_LATENCY + CHECK_LATENCY + SIGNS_BEFORE_LAYER
"""Likewise, from the end of a tile to the next one's first record, but for the words of the CRC."""


def construction_cycles(
    mask: np.ndarray,
    code: RiceCode | DenseCode,
    used: np.ndarray,
    taken: np.ndarray,
    before: np.ndarray,
    record_words: list[int],
    c: Configuration,
) -> Iterator[int]:
    """Cycles from the start of each tile of a layer until all lanes are done with it.

    Parameters
    ----------
    mask : numpy.ndarray of bool
        O x KH x KW x C.
    code : RiceCode or DenseCode
    used : numpy.ndarray
        Bits that each lane has used before the layer.
    taken : numpy.ndarray
        Words that each lane has taken at the end of each tile, tiles x lanes.
    before : numpy.ndarray
        Words that each lane has taken before the layer.
    record_words : list of int
        Words of each tile's channel records.
    """
    lanes = c.constructor_lanes
    # Cycles that the signs of a tile's first word have before its first one: from the start of the
    # layer, with a lane's own part of the key, or from the tile before.
    signs = np.full(lanes, SIGNS_BEFORE_LAYER) - (np.arange(lanes) > 0) * turn_cycles(c)
    period = decoder_of(c).word_cycles(c)
    works: list[LaneWork | None] = []
    for lane in range(lanes):
        own = mask[lane::lanes]
        if len(own) == 0:
            works.append(None)
            continue
        words = range(max(0, int(before[lane]) - 1), int(taken[-1, lane]))
        if isinstance(code, DenseCode):
            works.append(DenseWork(own, code, int(used[lane]), words, c))
        else:
            works.append(RunWork(own, code, int(used[lane]), words, c))
    for tile, (after, records) in enumerate(zip(taken, record_words, strict=True)):
        signs = signs + records - channel_cycles(c)
        cycles, done = _tile_cycles(works, tile, before.tolist(), after.tolist(), period, signs)
        yield cycles
        signs = SIGNS_BEFORE_TILE + crc_words(c.program_bits) + cycles - done
        before = after


def _tile_cycles(
    works: list[LaneWork | None],
    tile: int,
    before: list[int],
    after: list[int],
    period: int,
    signs: np.ndarray,
) -> tuple[int, np.ndarray]:
    """Follow the words of one tile as they are dealt: word ``before`` up to ``after`` of each lane.

    A lane that waits for a word, or for its first signs, does everything after it later by as much.
    ``signs`` says since when the first ones are there.

    Returns
    -------
    int, numpy.ndarray
        Cycles of the tile; when each lane has constructed its share.
    """
    lanes = range(len(works))
    active = [work if work is not None and tile < len(work.cycles) else None for work in works]
    late = [0] * len(works)
    free = [0] * len(works)
    number = list(before)
    remaining = sum(after) - sum(before)
    for lane, work in enumerate(active):
        if work is not None:
            if work.generates:
                late[lane] = max(0, int(-signs[lane] - work.first_end[tile]))
            # The word that it has from the tile before.
            index = before[lane] - 1 - work.first_word
            if index >= 0 and work.empty_tile[index] == tile:
                free[lane] = int(work.empty[index]) + late[lane]

    def done(lane: int) -> int:
        own = active[lane]
        return 0 if own is None else int(own.cycles[tile]) + late[lane]

    now, lane = 0, 0
    while remaining:
        if number[lane] < after[lane]:
            # The lane takes the word when it has none.
            now = max(now, free[lane])
            free[lane] = now + period
            work = works[lane]
            index = number[lane] - work.first_word if work is not None else -1
            if work is not None and 0 <= index < len(work.need):
                if work.need_tile[index] == tile:
                    wait = now + int(work.wait[index] - work.need[index])
                    more = wait - int(work.spare[index]) - late[lane]
                    if more > 0:
                        late[lane] += max(more, int(work.at_least[index]))
                if work.empty_tile[index] == tile:
                    free[lane] = max(free[lane], int(work.empty[index]) + late[lane])
            number[lane] += 1
            remaining -= 1
        else:
            # It is left out, but only when it is done.
            now = max(now, done(lane))
        now += 1
        lane = (lane + 1) % len(works)
    ends = [done(lane) for lane in lanes]
    return max(now, *ends), np.array(ends)
