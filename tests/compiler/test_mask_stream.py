import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, integers, random_layers

from hiddenite.compiler.mask_stream import MaskStream
from hiddenite.golden.rice import RiceCode
from hiddenite.rtl.masks.mask_expander import WINDOW_BITS


class Lane:
    """A constructor lane as its documentation has it, without time.

    A word goes into an empty hold; its bytes go into the window while there is room; pieces leave
    the window while the tile is not complete and the longest one would be there. A serial decoder
    has no window: the bits of a piece leave the hold one by one. Where all weights are kept, signs
    leave it, a chunk after the other, or nothing does.
    """

    def __init__(self, c):
        self.word_bytes, self.serial = c.program_bits // 8, c.mask_decoder == "serial"
        self.window = self.count = self.hold = self.held = 0
        self.parts = []
        self.ich = c.ich
        self.chunk = min(c.ich, c.program_bits if self.serial else 16)

    def begin_layer(self, code, channels):
        self.parameter, self.signed = code.parameter, code.signed
        self.channels, self.position, self.kept, self.signs = channels, 0, [], []
        if self.parameter == 7 and self.serial:
            self.count = self.held = self.window = 0

    def give(self, word):
        assert self.held == 0
        self.hold, self.held = word, self.word_bytes

    def settle(self, end):
        """Do all that can be done before the next word; return whether the tile is complete."""
        while True:
            if self.held and (self.serial or self.count <= WINDOW_BITS - 8):
                self.window |= (self.hold & 255) << self.count
                self.hold >>= 8
                self.held -= 1
                self.count += 8
            elif self.position < end and self.count >= self.needs():
                self.piece()
            else:
                left = self.count if self.serial else self.held
                return self.position >= end and left > 0

    def needs(self):
        """Bits that must be there before a piece is taken."""
        if not self.serial:
            return WINDOW_BITS - 7
        if self.parameter == 7:
            return self.chunk * self.signed
        ones = 0
        while ones < RiceCode.QUOTIENT and self.window >> ones & 1:
            ones += 1
        return ones + (ones < RiceCode.QUOTIENT) * (1 + self.parameter + self.signed)

    def take(self, length):
        bits = self.window & ((1 << length) - 1)
        self.window >>= length
        self.count -= length
        return bits

    def word(self):
        """A word of a layer that keeps all weights; chunk by chunk, but nothing stands between."""
        size = min(self.ich, self.channels - self.position % self.channels)
        bits = 0
        if self.signed:
            first = self.chunk * len(self.parts)
            self.parts.append(self.take(self.chunk) << first)
            if first + self.chunk < self.ich:
                return
            bits = sum(self.parts)
        self.kept += range(self.position, self.position + size)
        self.signs += [bits >> n & 1 for n in range(size)]
        assert bits >> size == 0
        self.position += size
        self.parts = []

    def piece(self):
        if self.parameter == 7:
            self.word()
            return
        ones = 0
        while ones < RiceCode.QUOTIENT and self.window >> ones & 1:
            ones += 1
        length, keep = ones, ones < RiceCode.QUOTIENT
        self.position += ones << self.parameter
        if keep:
            code = self.window >> ones + 1
            self.position += code >> self.signed & ((1 << self.parameter) - 1)
            self.kept.append(self.position)
            self.signs.append(code & self.signed)
            self.position += 1
            length += 1 + self.parameter + self.signed
        self.take(length)


def deal(lanes, ends, words):
    """Deal a tile's words in turns; every one of them must be taken."""
    words = iter(words)
    done = [lane.settle(end) for lane, end in zip(lanes, ends, strict=True)]
    while not all(done):
        for number, lane in enumerate(lanes):
            if not done[number]:
                lane.give(next(words))
                done[number] = lane.settle(ends[number])
    assert next(words, None) is None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_lanes_find_their_masks_in_the_words_dealt_to_them(name, seed):
    c = CONFIGURATIONS[name]
    rng = np.random.default_rng(seed)
    stream = MaskStream(c)
    layers = [(mask, sign, *stream.add(mask, sign)) for mask, sign in random_layers(rng, c)]
    words = iter(stream.words())
    lanes = [Lane(c) for _ in range(c.constructor_lanes)]
    for mask, sign, code, tiles in layers:
        size = mask[0].size
        assert tiles == -(-len(mask) // c.och)
        for lane in lanes:
            lane.begin_layer(code, mask.shape[3])
        shares = [len(mask[n :: len(lanes)]) * size for n in range(len(lanes))]
        for tile in range(tiles):
            whole = (tile + 1) * c.och // len(lanes) * size
            deal(lanes, [min(whole, share) for share in shares], integers(next(words)))
        for number, lane in enumerate(lanes):
            # A last run may reach beyond the end.
            found = {p: s for p, s in zip(lane.kept, lane.signs, strict=True) if p < shares[number]}
            own = slice(number, None, len(lanes))
            assert list(found) == np.flatnonzero(mask[own]).tolist()
            if sign is not None:
                assert list(found.values()) == sign[own][mask[own]].tolist()
    assert next(words, None) is None


def test_words_are_of_the_program_s_width():
    for c in CONFIGURATIONS.values():
        stream = MaskStream(c)
        stream.add(np.random.default_rng(1).random((8, 3, 3, 8)) < 0.5)
        for words in stream.words():
            assert words.dtype == np.uint64
            if c.program_bits < 64:
                assert words.max() < 1 << c.program_bits


def test_no_masks():
    assert MaskStream(CONFIGURATIONS["square"]).words() == []


def test_code_is_the_shortest_and_takes_little_more_than_its_bits():
    c = CONFIGURATIONS["more_och"]
    rng = np.random.default_rng(2)
    stream = MaskStream(c)
    mask = rng.random((64, 3, 3, 64)) < 0.3
    code, _ = stream.add(mask)
    sizes = [RiceCode(k).encode(mask.reshape(-1)).length.sum() for k in range(4)]
    assert sizes[code.parameter] == min(sizes)
    sent = sum(map(len, stream.words())) * c.program_bits
    assert stream.code_bits <= sent <= stream.code_bits + 64
    entropy = mask.size * 0.8813
    assert sent < 1.05 * entropy
