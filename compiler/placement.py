"""Addresses for blocks of memory whose lifetimes are all known.

Finding the least memory is NP-hard ("dynamic storage allocation"). Placing the largest blocks first
is rarely far from the least; some other orders, and exchanges in the best of them, come closer.
"""

import random
from dataclasses import dataclass

__all__ = ["Block", "live_words", "place"]

_WORK = 400_000
"""Pairs of blocks that the search compares at most: half a second of Python."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Words that must be kept.

    Attributes
    ----------
    words : int
        At least 1.
    first, last : int
        Steps from which to which it is alive, both included.
    """

    words: int
    first: int
    last: int


def live_words(blocks: list[Block]) -> list[int]:
    """Words that are alive in each step; no placement takes less than the most of them."""
    changes = [0] * (max((block.last for block in blocks), default=-1) + 2)
    for block in blocks:
        changes[block.first] += block.words
        changes[block.last + 1] -= block.words
    live, now = [], 0
    for change in changes[:-1]:
        now += change
        live.append(now)
    return live


def place(blocks: list[Block]) -> list[int]:
    """First addresses of blocks, so that none that live in one step overlap.

    The same blocks always get the same addresses.
    """
    search = _Search(blocks)
    least = max(live_words(blocks), default=0)
    numbers = range(len(blocks))
    lengths = [block.last - block.first + 1 for block in blocks]
    orders = (
        lambda n: (-blocks[n].words, -lengths[n]),
        lambda n: -blocks[n].words * lengths[n],
        lambda n: (-lengths[n], -blocks[n].words),
        lambda n: blocks[n].first,
        lambda n: -blocks[n].last,
    )
    best = search.first_fit(sorted(numbers, key=orders[0]))
    for key in orders[1:]:
        if best.words == least:
            return best.addresses
        found = search.first_fit(sorted(numbers, key=key))
        if found.words < best.words:
            best = found
    # Exchanges: the block that lies highest is placed first, or two of them change places.
    rng = random.Random(0)
    while search.work < _WORK and best.words > least:
        order = list(best.order)
        if rng.random() < 0.5:
            highest = [n for n in numbers if best.addresses[n] + blocks[n].words == best.words]
            moved = rng.choice(highest)
            order.remove(moved)
            order.insert(rng.randrange(len(order)), moved)
        else:
            a, b = rng.choice(numbers), rng.choice(numbers)
            order[a], order[b] = order[b], order[a]
        found = search.first_fit(order)
        if found.words <= best.words:
            best = found
    return best.addresses


@dataclass(frozen=True)
class _Placement:
    order: list[int]
    addresses: list[int]
    words: int


class _Search:
    """Places blocks in a given order; counts the work."""

    def __init__(self, blocks: list[Block]):
        self.blocks = blocks
        self.work = 0
        self._together: list[list[int]] = [[] for _ in blocks]
        live: list[int] = []
        for n in sorted(range(len(blocks)), key=lambda n: blocks[n].first):
            live = [other for other in live if blocks[other].last >= blocks[n].first]
            for other in live:
                self._together[n].append(other)
                self._together[other].append(n)
            live.append(n)

    def first_fit(self, order: list[int]) -> _Placement:
        """Give each block in turn the lowest address that is free while it lives."""
        addresses: dict[int, int] = {}
        top = 0
        for n in order:
            words, together = self.blocks[n].words, self._together[n]
            self.work += 1 + len(together)
            taken = sorted(
                (addresses[other], self.blocks[other].words)
                for other in together
                if other in addresses
            )
            address = 0
            for begin, size in taken:
                if begin - address >= words:
                    break
                address = max(address, begin + size)
            addresses[n] = address
            top = max(top, address + words)
        return _Placement(order, [addresses[n] for n in range(len(order))], top)
