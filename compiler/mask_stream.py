"""Masks as the constructor's lanes take them: coded, cut into words, and dealt."""

import numpy as np

from hiddenite.golden.rice import Pieces, RiceCode
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.masks.decoders import decoder_of
from hiddenite.rtl.masks.dense_code import DenseCode, chunk_bits
from hiddenite.rtl.masks.lane_timing import construction_cycles

__all__ = ["MaskCode", "MaskStream"]

MaskCode = RiceCode | DenseCode


class MaskStream:
    """Mask words of a whole program.

    Lane n takes the masks of the output channels n, n + lanes, n + 2 * lanes, ... of each layer,
    one bit after the other from the first layer to the last, without a gap but where a decoder
    `begins_words`. A tile ends with words that begin the next one: see
    `hiddenite.rtl.masks.mask_expander` and `hiddenite.rtl.masks.serial_expander` for how many.

    Parameters
    ----------
    c : Configuration
    """

    def __init__(self, c: Configuration):
        self.c = c
        self._bits: list[list[np.ndarray]] = [[] for _ in range(c.constructor_lanes)]
        self._length = np.zeros(c.constructor_lanes, np.int64)
        # Bits that each lane has used at the end of each tile.
        self._used: list[np.ndarray] = []
        self._layers: list[tuple[np.ndarray, MaskCode, np.ndarray, int]] = []

    def add(self, mask: np.ndarray, sign: np.ndarray | None = None) -> tuple[MaskCode, int]:
        """Append a layer's mask, boolean, O x KH x KW x C, and its signs unless they are generated.

        Returns
        -------
        RiceCode or DenseCode, int
            The code, and the number of its tiles.
        """
        c = self.c
        lanes = c.constructor_lanes
        tiles = -(-len(mask) // c.och)
        code, coded = self._shortest(mask, sign)
        # Behind a tile, each lane has a word in hand.
        if isinstance(code, DenseCode) and decoder_of(c).begins_words and self._layers:
            for lane, length in enumerate(self._length):
                rest = c.program_bits - int(length) % c.program_bits
                self._bits[lane].append(np.zeros(rest, np.uint8))
                self._length[lane] += rest
        self._layers.append((mask, code, self._length.copy(), tiles))
        used = np.zeros((tiles, lanes), np.int64)
        share = c.och // lanes * mask[0].size
        for lane, pieces in enumerate(coded):
            ends = np.minimum((np.arange(tiles) + 1) * share, mask[lane::lanes].size)
            total = np.concatenate([[0], np.cumsum(pieces.length)])
            used[:, lane] = self._length[lane] + total[np.searchsorted(pieces.start, ends)]
            self._bits[lane].append(pieces.bits())
            self._length[lane] += total[-1]
        self._used.extend(used)
        return code, tiles

    def _shortest(self, mask: np.ndarray, sign: np.ndarray | None) -> tuple[MaskCode, list[Pieces]]:
        """The code with the fewest bits, and the layer in it, lane by lane."""
        c, signed = self.c, sign is not None
        lanes = [slice(lane, None, c.constructor_lanes) for lane in range(c.constructor_lanes)]
        codes: list[MaskCode] = [RiceCode.best([mask[lane] for lane in lanes], signed=signed)]
        if mask.all():
            codes.insert(0, DenseCode(c.ich, chunk_bits(c), signed))
        coded = [
            [code.encode(mask[lane], None if sign is None else sign[lane]) for lane in lanes]
            for code in codes
        ]
        sizes = [sum(int(pieces.length.sum()) for pieces in lanes) for lanes in coded]
        best = int(np.argmin(sizes))
        return codes[best], coded[best]

    def _taken(self) -> np.ndarray:
        """Words that each lane has taken at the end of each tile, tiles x lanes."""
        lookahead = decoder_of(self.c).lookahead_bits
        return (np.array(self._used) + lookahead) // self.c.program_bits + 1

    def words(self) -> list[np.ndarray]:
        """Words of each tile, in the order in which the lanes take them (uint64)."""
        c = self.c
        word_bytes = c.program_bits // 8
        if not self._used:
            return []
        taken = self._taken()
        lanes = []
        for number in range(c.constructor_lanes):
            bits = np.concatenate([*self._bits[number], np.zeros(0, np.uint8)])
            size = int(taken[-1, number]) * word_bytes
            packed = np.zeros(size, np.uint8)
            coded = np.packbits(bits, bitorder="little")
            packed[: len(coded)] = coded
            words = np.zeros((size // word_bytes, 8), np.uint8)
            words[:, :word_bytes] = packed.reshape(-1, word_bytes)
            lanes.append(words.view("<u8")[:, 0])
        tiles, before = [], np.zeros(c.constructor_lanes, np.int64)
        for after in taken:
            count = after - before
            lane = np.repeat(np.arange(len(count)), count)
            turn = np.arange(len(lane)) - np.repeat(np.cumsum(count) - count, count)
            order = np.lexsort((lane, turn))
            all_words = np.concatenate([lanes[n][before[n] : after[n]] for n in range(len(count))])
            tiles.append(all_words[order].astype(np.uint64))
            before = after
        return tiles

    def cycles(self, record_words: list[int]) -> list[int]:
        """Cycles that the constructor takes for each tile, from its start until it is complete.

        Parameters
        ----------
        record_words : list of int
            Words of each tile's channel records, which come before its masks.
        """
        cycles: list[int] = []
        first = 0
        taken = self._taken() if self._used else np.zeros((0, self.c.constructor_lanes), np.int64)
        before = np.zeros(self.c.constructor_lanes, np.int64)
        for mask, code, used, tiles in self._layers:
            own = taken[first : first + tiles]
            records = record_words[first : first + tiles]
            cycles += construction_cycles(mask, code, used, own, before, records, self.c)
            before, first = own[-1], first + tiles
        return cycles

    @property
    def code_bits(self) -> int:
        """Bits of all masks, coded."""
        return int(self._length.sum())
