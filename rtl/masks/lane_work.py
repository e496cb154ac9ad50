"""What a lane does for a layer, if words are always there: part of the constructor's timing."""

import numpy as np

from hiddenite.golden.rice import RiceCode

from ..configuration import Configuration
from .decoders import decoder_of
from .dense_code import DenseCode
from .lane_steps import Steps
from .sign_generator import channel_cycles, turn_cycles
from .timing import begin_latency, ready_latency, step_period

__all__ = ["DenseWork", "LaneWork", "RunWork"]

NEVER = np.iinfo(np.int64).max // 2


def _seconds(pair: np.ndarray) -> np.ndarray:
    """Steps that are taken together with the one before, if ``pair`` ones may take the next along.

    The first of several such steps in a row takes the second one along, the third the fourth.
    """
    number = np.arange(len(pair))
    start = pair & ~np.append(False, pair[:-1])
    turn = number - np.maximum.accumulate(np.where(start, number, 0))
    return np.append(False, (pair & (turn % 2 == 0))[:-1])


class LaneWork:
    """What all codes have in common.

    Attributes
    ----------
    cycles : numpy.ndarray of int64
        Of each tile, from its first one.
    generates : bool
        Signs are generated; the first word of a row and of a channel may have to wait for its own.
    first_end : numpy.ndarray of int64
        The end of each tile's first word, where signs are generated.
    """

    cycles: np.ndarray
    first_end: np.ndarray

    def __init__(self, mask: np.ndarray, code: RiceCode | DenseCode, c: Configuration):
        channels, rows, segments, length = mask.shape
        self.generates, self.period = not code.signed, step_period(c)
        self._begin_latency = begin_latency(c)
        # Cycles from a word until a step may use its first byte; chunks go past the registers.
        self._from_word = 2 if isinstance(code, DenseCode) else 1 + self.period
        self._length, self._row_weights = length, segments * length
        in_segment = np.append(np.arange(c.ich, length, c.ich), length)
        self._row = segments * len(in_segment)
        self._per_channel = rows * self._row
        # Where each word ends, and of each tile, the first word and the one behind the last.
        pixels = np.arange(channels * rows * segments)
        self._ends = (pixels[:, None] * length + in_segment).reshape(-1)
        share = c.och // c.constructor_lanes
        self._tiles = -(-channels // share)
        self._begin = np.arange(self._tiles) * share * self._per_channel
        self._finish = np.minimum(self._begin + share * self._per_channel, len(self._ends))

    def _sign_waits(self, end: np.ndarray, c: Configuration) -> np.ndarray:
        """Cycles that each word waits for its signs, if it would end in this cycle otherwise."""
        wait = np.zeros(len(end), np.int64)
        if self.generates:
            turns = turn_cycles(c)
            size = (self._length - 1) % c.ich + 1
            used_parts, rest = divmod(self._row_weights - size, c.ich)
            turn = (1 + used_parts) % turns
            wait[:: self._row] = turns - turn if turn or rest + size > c.ich else 0
            wait[:: self._per_channel] = channel_cycles(c)
            wait[self._begin] = 0
        # With two cycles from step to step, a lane sees a cycle late that they are there.
        wait += (self.period - 1) * (wait > 0)
        return np.where(wait > 0, np.maximum(wait + 1 - np.diff(end, prepend=0), 0), 0)

    def _place_words(
        self,
        positions: np.ndarray,
        before: np.ndarray,
        cycle: np.ndarray,
        spare: np.ndarray,
        at_least: np.ndarray | int,
        tile: np.ndarray,
        words: range,
        c: Configuration,
    ) -> None:
        """Find when each word is first needed, and when its last byte has moved on.

        ``positions`` has the bits before each step, and before the one that follows the last;
        ``before`` those before the first one of a pair. A step that is late is so by ``at_least``
        so many cycles.
        """
        number = np.arange(words.start, words.stop)
        tiles = len(self.cycles)
        if c.mask_decoder == "serial":
            # As soon as it is there; the last bit makes room.
            needed = np.searchsorted(positions[:-1], number * c.program_bits)
            emptied = np.searchsorted(positions[1:], (number + 1) * c.program_bits)
            self.wait = np.ones(len(number), np.int64)
            empty = np.append(cycle, NEVER)[emptied]
            empty_tile = np.append(tile, tiles)[emptied]
        else:
            word_bytes = c.program_bits // 8
            lookahead = decoder_of(c).lookahead_bits
            byte = (before[:-1] + lookahead) // 8 - 1
            needed = np.searchsorted(byte, number * word_bytes)
            part = np.append(byte, 0)[needed] - number * word_bytes
            self.wait = self._from_word + np.minimum(part, word_bytes - 1)
            enough = 8 * (number + 1) * word_bytes - lookahead
            emptied = np.searchsorted(positions, enough) - 1
            # The second byte that a piece makes room for comes a cycle later.
            second = before[emptied] < enough - 8
            moved = np.append(cycle, NEVER)[emptied] + second
            empty = np.where(emptied < 0, -NEVER, moved + ready_latency(c))
            empty_tile = np.where(emptied < 0, -1, np.append(tile, tiles)[emptied])
        self.need = np.append(cycle, NEVER)[needed]
        self.spare = np.append(spare, 0)[needed]
        self.at_least = np.append(np.broadcast_to(at_least, len(cycle)), 1)[needed]
        self.need_tile = np.append(tile, tiles)[needed]
        self.empty, self.empty_tile = empty, empty_tile
        self.first_word = words.start


class RunWork(LaneWork):
    """Work of a `RiceCode`.

    A cycle takes a step of the decoder, or ends a word; both where all words are full, unless one
    step ends more of them. The first word of a row and of a channel may have to wait for its signs.
    """

    def __init__(self, mask: np.ndarray, code: RiceCode, used: int, words: range, c: Configuration):
        super().__init__(mask, code, c)
        # How long the code is does not depend on what the signs are.
        pieces = code.encode(mask, mask)
        if c.mask_decoder == "serial":
            steps = Steps.serial(pieces, used, code, c.program_bits)
        else:
            steps = Steps.parallel(pieces, used, code)
        full = self._length % c.ich == 0
        ends, begin, finish = self._ends, self._begin, self._finish
        tile = steps.piece // (c.och // c.constructor_lanes * mask[0].size)
        first = np.searchsorted(tile, np.arange(self._tiles + 1))

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
        period = self.period
        passed *= period
        taken = np.append(~second[1:], True)
        total = period * np.concatenate([[0], np.cumsum(taken + alone)])
        ahead = np.cumsum(passed)
        cycle = total[:-1] + ahead[tile]
        by = np.minimum(np.searchsorted(reach, np.arange(len(ends)), "right"), len(reach) - 1)
        number = np.arange(len(ends))
        end = cycle[by] + period * (1 + number - origin[by])
        for_signs = self._sign_waits(end, c)
        late = np.concatenate([[0], np.cumsum(for_signs)])
        start = total[first[:-1]] + ahead - passed + late[begin] - self._begin_latency
        # The end of each tile's first word.
        self.first_end = end[begin] + late[begin] - start
        cycle += late[origin] - start[tile]
        stop = total[first[1:]] + ahead + late[finish]
        self.cycles = stop - start

        # What a step may come late by while its word waits for its signs anyway.
        spare = np.append(for_signs, 0)[origin]
        positions = np.append(steps.before, steps.after[-1:])
        before = positions.copy()
        before[:-1][second] = before[:-1][np.flatnonzero(second) - 1]
        # If a step is late, the lane keeps the weight of the step before it by itself.
        at_least = np.where(np.append(False, steps.keep[:-1]), self.period, 1)
        self._place_words(positions, before, cycle, spare, at_least, tile, words, c)


class DenseWork(LaneWork):
    """Work of a `DenseCode`: a step takes a chunk, or ends a word whose signs are generated."""

    def __init__(
        self, mask: np.ndarray, code: DenseCode, used: int, words: range, c: Configuration
    ):
        super().__init__(mask, code, c)
        chunks = code.word // code.chunk if code.signed else 0
        number = np.arange(chunks * len(self._ends))
        tile = np.searchsorted(chunks * self._finish, number, "right")
        # A window moves by a byte a cycle.
        rate = self.period
        if c.mask_decoder == "parallel":
            rate = max(rate, -(-code.chunk // 8))
        cycle = rate * (number - chunks * self._begin[tile]) + self._begin_latency
        count = self._finish - self._begin
        self.first_end = np.full(self._tiles, self.period + self._begin_latency)
        self.cycles = rate * (chunks * count - 1) + self.period + self._begin_latency
        if self.generates:
            end = self.period * np.arange(1, len(self._ends) + 1)
            late = np.concatenate([[0], np.cumsum(self._sign_waits(end, c))])
            self.cycles = self.period * count + late[self._finish] - late[self._begin]
            self.cycles += self._begin_latency
        positions = used + code.chunk * np.arange(len(number) + 1)
        self._place_words(positions, positions, cycle, np.zeros_like(cycle), 1, tile, words, c)
