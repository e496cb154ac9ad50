"""Credits against a model that knows every tile."""

import random
from collections import deque

from rtl_helpers import simulate

from hiddenite.rtl.masks.tile_credits import MOST_TILES, TileCredits


def test_tiles_on_their_way():
    dut, rng = TileCredits(), random.Random(1)
    met = set()

    async def bench(ctx):
        # Sizes of the tiles in the buffer; how many of them are right, and taken.
        tiles, right, taken = deque(), 0, 0
        for _ in range(3000):
            large = rng.random() < 0.3
            ctx.set(dut.large, large)
            room = not tiles or (len(tiles) < MOST_TILES and not large and not any(tiles))
            met.add((len(tiles), large, room, right > taken))
            assert ctx.get(dut.room) == room
            assert ctx.get(dut.ready) == (right > taken)
            start = room and rng.random() < 0.5
            commit = right < len(tiles) and rng.random() < 0.5
            take = taken < right and rng.random() < 0.5
            release = taken > 0 and rng.random() < 0.5
            for port, value in (
                (dut.start, start),
                (dut.commit, commit),
                (dut.taken, take),
                (dut.release, release),
            ):
                ctx.set(port, value)
            await ctx.tick()
            if release:
                tiles.popleft()
            if start:
                tiles.append(large)
            right += commit - release
            taken += take - release

    simulate(dut, bench)
    # A small tile beside a large one, or the other way round, finds no room; nor does a third one.
    assert {(1, True, False, True), (1, False, False, True), (2, False, False, True)} <= met
