import random
from itertools import permutations

import pytest

from hiddenite.compiler.placement import Block, live_words, place


def random_blocks(rng, count, steps, most=40):
    blocks = []
    for _ in range(count):
        first = rng.randrange(steps)
        last = rng.randrange(first, min(steps, first + rng.choice([1, 2, 3, steps])))
        blocks.append(Block(words=rng.randrange(1, most), first=first, last=last))
    return blocks


def together(a, b):
    return a.first <= b.last and b.first <= a.last


def used(blocks, addresses):
    """Words of a placement, which must be a valid one."""
    places = list(zip(blocks, addresses, strict=True))
    for number, (block, address) in enumerate(places):
        assert address >= 0
        for other, at in places[:number]:
            apart = address + block.words <= at or at + other.words <= address
            assert apart or not together(block, other)
    return max(address + block.words for block, address in places)


def least_words(blocks):
    """The least that any placement takes: one of all orders gives it with first fit."""
    best = sum(block.words for block in blocks)
    for order in permutations(blocks):
        placed = []
        for block in order:
            address = 0
            for begin, other in sorted(placed, key=lambda pair: pair[0]):
                if together(block, other) and begin < address + block.words:
                    address = max(address, begin + other.words)
            placed.append((address, block))
        best = min(best, max(address + block.words for address, block in placed))
    return best


@pytest.mark.parametrize("seed", range(30))
def test_blocks_that_live_at_one_time_never_overlap(seed):
    rng = random.Random(seed)
    blocks = random_blocks(rng, rng.randrange(1, 60), rng.randrange(1, 40))
    live = live_words(blocks)
    for step in range(len(live)):
        alive = [block.words for block in blocks if block.first <= step <= block.last]
        assert live[step] == sum(alive)
    assert used(blocks, place(blocks)) >= max(live)


@pytest.mark.parametrize("seed", range(20))
def test_few_blocks_take_the_least(seed):
    blocks = random_blocks(random.Random(seed), 6, 5)
    assert used(blocks, place(blocks)) == least_words(blocks)


def test_many_blocks_take_little_more_than_what_lives_at_once():
    over = []
    for seed in range(20):
        blocks = random_blocks(random.Random(seed), 40, 30)
        over.append(used(blocks, place(blocks)) / max(live_words(blocks)))
    assert max(over) < 1.1
    assert sum(over) / len(over) < 1.02


def test_first_fit_in_time_would_leave_a_gap():
    """A small block that lives long lies above or below both large ones, never between."""
    blocks = [
        Block(words=10, first=0, last=1),
        Block(words=1, first=1, last=3),
        Block(words=11, first=2, last=3),
    ]
    assert used(blocks, place(blocks)) == 12


def test_the_same_blocks_get_the_same_addresses():
    blocks = random_blocks(random.Random(1), 80, 20)
    assert place(blocks) == place(blocks)


def test_no_blocks():
    assert place([]) == []
    assert live_words([]) == []
