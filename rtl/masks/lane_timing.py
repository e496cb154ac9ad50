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
from .lane_steps import Steps
from .sign_generator import channel_cycles, turn_cycles
from .timing import ready_latency, step_period

__all__ = ["construction_cycles"]

NEVER = np.iinfo(np.int64).max // 2

SIGNS_BEFORE_LAYER = 3
"""Cycles from ``start_layer`` to the first word of a channel record, as the signs count them."""

SIGNS_BEFORE_TILE = COMPLETE_LATENCY + CHECK_LATENCY + SIGNS_BEFORE_LAYER
"""Likewise, from the end of a tile to the next one's first record, but for the words of the CRC."""


def _seconds(pair: np.ndarray) -> np.ndarray:
    """Steps that are taken together with the one before, if ``pair`` ones may take the next along.

    The first of several such steps in a row takes the second one along, the third the fourth.
    """
    number = np.arange(len(pair))
    start = pair & ~np.append(False, pair[:-1])
    turn = number - np.maximum.accumulate(np.where(start, number, 0))
    return np.append(False, (pair & (turn % 2 == 0))[:-1])


class _LaneWork:
    """One lane's work for a layer, in cycles from the first one of each tile.

    A cycle takes a step of the decoder, or ends a word; both where all words are full, unless one
    step ends more of them. The first word of a row and of a channel may have to wait for its signs.
    """

    def __init__(self, mask: np.ndarray, code: RiceCode, used: int, words: range, c: Configuration):
        channels, rows, segments, length = mask.shape
        pieces, k = code.encode(mask.reshape(-1)), code.parameter
        if c.mask_decoder == "serial":
            steps = Steps.serial(pieces, used, k, c.program_bits)
        else:
            steps = Steps.parallel(pieces, used, k)
        full = length % c.ich == 0
        in_segment = np.append(np.arange(c.ich, length, c.ich), length)
        row, per_channel = segments * len(in_segment), rows * segments * len(in_segment)
        ends = (np.arange(channels * rows * segments)[:, None] * length + in_segment).reshape(-1)
        share = c.och // c.constructor_lanes
        tiles = -(-channels // share)
        tile = steps.piece // (share * mask[0].size)
        first = np.searchsorted(tile, np.arange(tiles + 1))
        begin = np.arange(tiles) * share * per_channel
        finish = np.minimum(begin + share * per_channel, len(ends))

        # Which word each step begins in, and which one it leads to.
        word = np.searchsorted(ends, steps.place, "right")
        last = steps.keep & (steps.place + 1 == np.append(ends, -1)[word])
        tile_ends = last & (word == finish[tile] - 1)
        reach = np.minimum(word, finish[tile]) + tile_ends
        origin = np.concatenate([[0], reach[:-1]])
        # A run that goes on from the tile before.
        there = np.concatenate([[0], word])[first[:-1]]
        there = np.clip(there, begin, finish)
        some = first[:-1] < first[1:]
        origin[first[:-1][some]] = there[some]
        # A weight at the end of a word that is begun beside the end of another ends it by itself,
        # unless that other one was ended so.
        single = full & last & ~tile_ends & (word > origin) & (word < finish[tile])
        number = np.arange(len(word))
        chained = single & (np.diff(word, prepend=-1) == 1) & np.append(False, single[:-1])
        reach += single & ((number - np.maximum.accumulate(np.where(chained, 0, number))) % 2 == 0)
        origin = np.maximum(origin, np.concatenate([[0], reach[:-1]]))
        count = reach - origin
        alone = np.where(full, np.maximum(count - 1, 0), count)
        closing = (reach == finish[tile]) & (count > 0)
        alone[closing] = count[closing]
        alone += tile_ends & ((count == 1) | (not full))
        passed = there - begin
        # Beside the end of a word.
        beside = np.append(0, count[:-1]) > 0
        beside[first[:-1][some]] = passed[some] > 0
        of_word = ~last | (~(beside & full) & (word < finish[tile] - 1))
        second = _seconds(steps.pair & (word == origin) & of_word)
        passed = np.where(full & (there < finish), np.maximum(passed - 1, 0), passed)

        # Cycle of each step and of the end of each word, if none waits for its signs.
        period = step_period(c)
        passed *= period
        taken = np.append(~second[1:], True)
        total = period * np.concatenate([[0], np.cumsum(taken + alone)])
        ahead = np.cumsum(passed)
        cycle = total[:-1] + ahead[tile]
        by = np.minimum(np.searchsorted(reach, np.arange(len(ends)), "right"), len(reach) - 1)
        number = np.arange(len(ends))
        end = cycle[by] + period * (1 + number - origin[by])
        turns = turn_cycles(c)
        size = int(np.diff(in_segment, prepend=0)[-1])
        used_parts, rest = divmod(segments * length - size, c.ich)
        turn = (1 + used_parts) % turns
        wait = np.zeros(len(ends), np.int64)
        wait[::row] = turns - turn if turn or rest + size > c.ich else 0
        wait[::per_channel] = channel_cycles(c)
        wait[begin] = 0
        # With two cycles from step to step, a lane sees a cycle late that they are there.
        wait += (period - 1) * (wait > 0)
        for_signs = np.where(wait > 0, np.maximum(wait + 1 - np.diff(end, prepend=0), 0), 0)
        late = np.concatenate([[0], np.cumsum(for_signs)])
        start = total[first[:-1]] + ahead - passed + late[begin]
        # The end of each tile's first word.
        self.first_end = end[begin] + late[begin] - start
        cycle += late[origin] - start[tile]
        stop = total[first[1:]] + ahead + late[finish]
        self.cycles = stop - start

        # What a step may come late by while its word waits for its signs anyway.
        spare = np.append(for_signs, 0)[origin]
        before = np.append(steps.before, steps.after[-1:])
        before[:-1][second] = before[:-1][np.flatnonzero(second) - 1]
        self._place_words(steps, before, cycle, spare, tile, words, c)

    def _place_words(
        self,
        steps: Steps,
        before: np.ndarray,
        cycle: np.ndarray,
        spare: np.ndarray,
        tile: np.ndarray,
        words: range,
        c: Configuration,
    ) -> None:
        """Find when each word is first needed, and when its last byte has moved on.

        ``before`` has the bits before each step, or before the first one of a pair, and before the
        step that follows the last one.
        """
        number = np.arange(words.start, words.stop)
        tiles = len(self.cycles)
        if c.mask_decoder == "serial":
            # As soon as it is there; the last bit makes room.
            needed = np.searchsorted(steps.before, number * c.program_bits)
            emptied = np.searchsorted(steps.after, (number + 1) * c.program_bits)
            self.wait = np.ones(len(number), np.int64)
            empty = np.append(cycle, NEVER)[emptied]
            empty_tile = np.append(tile, tiles)[emptied]
        else:
            word_bytes = c.program_bits // 8
            lookahead = decoder_of(c).lookahead_bits
            byte = (before[:-1] + lookahead) // 8 - 1
            needed = np.searchsorted(byte, number * word_bytes)
            part = np.append(byte, 0)[needed] - number * word_bytes
            self.wait = 1 + step_period(c) + np.minimum(part, word_bytes - 1)
            enough = 8 * (number + 1) * word_bytes - lookahead
            emptied = np.searchsorted(np.append(steps.before, steps.after[-1:]), enough) - 1
            # The second byte that a piece makes room for comes a cycle later.
            second = before[emptied] < enough - 8
            moved = np.append(cycle, NEVER)[emptied] + second
            empty = np.where(emptied < 0, -NEVER, moved + ready_latency(c))
            empty_tile = np.where(emptied < 0, -1, np.append(tile, tiles)[emptied])
        self.need = np.append(cycle, NEVER)[needed]
        self.spare = np.append(spare, 0)[needed]
        self.need_tile = np.append(tile, tiles)[needed]
        self.empty, self.empty_tile = empty, empty_tile
        self.first_word, self.period = words.start, step_period(c)


def construction_cycles(
    mask: np.ndarray,
    code: RiceCode,
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
    code : RiceCode
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
    works: list[_LaneWork | None] = []
    for lane in range(lanes):
        own = mask[lane::lanes]
        if len(own) == 0:
            works.append(None)
            continue
        words = range(max(0, int(before[lane]) - 1), int(taken[-1, lane]))
        works.append(_LaneWork(own, code, int(used[lane]), words, c))
    for tile, (after, records) in enumerate(zip(taken, record_words, strict=True)):
        signs = signs + records - channel_cycles(c)
        cycles, done = _tile_cycles(works, tile, before.tolist(), after.tolist(), period, signs)
        yield cycles
        signs = SIGNS_BEFORE_TILE + crc_words(c.program_bits) + cycles - done
        before = after


def _tile_cycles(
    works: list[_LaneWork | None],
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
                        late[lane] += more
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
