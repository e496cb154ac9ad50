"""Upsamples: pools of maxima that store every n-th row of banks.

With B banks along an axis, row of banks k of a map that is larger by f has the positions from k*B
on, whose pixels are those at (k*B + lane) // f. They are the same pixels for row k + f, B pixels
further on. One stage makes the rows k, k + f, k + 2f, ...: its pixel tiles lie B pixels apart, as
those of any layer.

A window's lanes see neighbouring pixels. Here several lanes want one pixel: they see it at
different taps. Every lane takes one tap only, as at all others it counts as outside of the map (see
`hiddenite.compiler.stage.Spread`), which is never a maximum.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product

from hiddenite.compiler.stage import Spread
from hiddenite.golden.network import Network, Upsample
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import Operation

from .context import Context
from .costs import stage_cycles
from .work import Part, Work

__all__ = ["factors", "is_one_stage", "lower", "spread"]


@cache
def spread(banks: int, factor: int, turn: int) -> Spread | None:
    """How lanes take their pixels in row of banks ``turn`` and each ``factor`` further on.

    None if there is no way: from tap to tap, the lanes that take it are so many and so far away as
    from the first to the second.
    """
    # Pixels from the one of the window's lane to the one that the lane is to take.
    shifts = [(turn * banks + lane) // factor - lane for lane in range(banks)]
    taps = range(shifts[-1], shifts[0] + 1)
    wanted = [[shift == tap for shift in shifts] for tap in taps]
    # The first tap is for the last lanes.
    first = -wanted[0].index(True)
    for size, step in product(range(1, banks + 1), range(banks + 1)):
        taken = [
            [0 <= first + number * step + lane < size for lane in range(banks)]
            for number in range(len(taps))
        ]
        if taken == wanted:
            return Spread(len(taps), -shifts[-1], first, step, size)
    return None


@cache
def factors(banks: int, factor: int) -> list[list[int]]:
    """Ways to make a map larger by a factor along an axis, one after the other; none may be there.

    Each factor is one that stages can do, and more than 1.
    """
    ways: list[list[int]] = [[]] if factor == 1 else []
    for first in range(2, factor + 1):
        if factor % first == 0 and all(spread(banks, first, turn) for turn in range(first)):
            ways += [[first, *rest] for rest in factors(banks, factor // first)]
    return ways


def is_one_stage(layer: Upsample, network: Network, c: Configuration) -> bool:
    """Whether a single stage makes the whole output."""
    return False


def lower(layer: Upsample, context: Context) -> list[Work]:
    """The stages of each pass, of which there is mostly one."""
    storage = context.storage
    source = context.source(layer.name)
    passes = _passes(layer, context)
    works = []
    for number, factor in enumerate(passes, 1):
        height, width, channels = storage.shape(source)
        shape = height * factor[0], width * factor[1], channels
        target = storage.made[layer.name]
        if number < len(passes):
            target = storage.add(f"part of {layer.name}", layer, number, shape)
        for turns, (y, x), size in _turns(factor, shape, context.c):
            works.append(
                Work(
                    name=layer.name,
                    kind=layer.op,
                    operation=Operation.MAX_POOL,
                    kernel=(y.taps, x.taps),
                    padding=(y.before, x.before),
                    spread=(y, x),
                    source=Part(source),
                    target=Part(target, rows=turns, every=factor),
                    shape=(*size, channels),
                )
            )
        source = target
    return works


def _passes(layer: Upsample, context: Context) -> list[tuple[int, int]]:
    """Factors of each pass along y and x: those that take the fewest cycles together."""
    c = context.c
    height, width, channels = context.storage.shape(context.source(layer.name))

    def cycles(passes: list[tuple[int, int]]) -> int:
        total, size = 0, (height, width)
        for factor in passes:
            size = size[0] * factor[0], size[1] * factor[1]
            for _, (y, x), own in _turns(factor, size, c):
                total += stage_cycles(
                    c, (*own, channels), context.batch, steps=y.taps * x.taps, conv=False
                )
        return total

    ways = product(factors(c.rows, layer.factor[0]), factors(c.cols, layer.factor[1]))
    return min((_together(*way) for way in ways), key=cycles)


def _together(y: list[int], x: list[int]) -> list[tuple[int, int]]:
    """Passes with these factors along y and x, the last ones of both together."""
    count = max(len(y), len(x), 1)
    y, x = ([1] * (count - len(axis)) + axis for axis in (y, x))
    return list(zip(y, x, strict=True))


def _turns(
    factor: tuple[int, int], shape: tuple[int, ...], c: Configuration
) -> Iterator[tuple[tuple[int, int], tuple[Spread, Spread], tuple[int, int]]]:
    """Yield the stages of a pass whose output has this shape.

    Of each, the first row of banks along y and x, how it takes its pixels, and how many it has.
    """
    for turns in product(*map(range, factor)):
        spreads, pixels = [], []
        for size, banks, every, turn in zip(
            shape[:2], (c.rows, c.cols), factor, turns, strict=True
        ):
            # The last row of banks may not be full.
            rows = range(turn, -(-size // banks), every)
            pixels.append(sum(min(banks, size - row * banks) for row in rows))
            spreads.append(spread(banks, every, turn))
        if all(pixels):
            y, x = spreads
            assert y is not None and x is not None
            yield (turns[0], turns[1]), (y, x), (pixels[0], pixels[1])
