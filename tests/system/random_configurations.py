"""Random configurations of small engines."""

import zlib
from dataclasses import asdict
from functools import cache
from itertools import combinations, product

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration, Technology
from hiddenite.rtl.configuration.technology import ARRAYS, MASK_DECODERS, SHIFTERS

CHOICES = {
    "array": ARRAYS,
    "mask_decoder": MASK_DECODERS,
    "activation_ports": (1, 2),
    "shifter": SHIFTERS,
    "pipelining": (0, 1, 2, 3),
}
"""What an engine can be built with."""

TILES = ((1, 1), (1, 2), (4, 1), (2, 2), (2, 1), (1, 4), (4, 2))
MOST_PES = {"verilator": 256, "icarus": 64}


def technologies():
    """Every technology that is allowed, sizes aside."""
    for values in product(*CHOICES.values()):
        try:
            yield Technology(**dict(zip(CHOICES, values, strict=True)))
        except InputError:
            continue


def pairs(technology):
    """Every two choices of a technology."""
    values = [(name, getattr(technology, name)) for name in CHOICES]
    return set(combinations(values, 2))


@cache
def pairwise_technologies():
    """Technologies in which every two choices that may meet do meet; few of them."""
    every = list(technologies())
    missing = set().union(*map(pairs, every))
    found = []
    while missing:
        found.append(max(every, key=lambda technology: len(pairs(technology) & missing)))
        missing -= pairs(found[-1])
    return found


def random_configuration(seed, number, simulator):
    """Return configuration `number` of a seed.

    Of every size with k kinds of values, each k configurations in turn have all k kinds; of the
    technologies, those of `pairwise_technologies`.
    Memories are small enough to be filled; some random networks do not fit.

    Parameters
    ----------
    seed, number : int
        Which configuration; the same ones give the same.
    simulator : str
        What it is simulated with, which limits its size.

    Returns
    -------
    Configuration
    """
    rng = np.random.default_rng([seed, number])

    def in_turn(name, kinds):
        turn, place = divmod(number, len(kinds))
        order = np.random.default_rng([seed, turn, zlib.crc32(name.encode())])
        return kinds[order.permutation(len(kinds))[place]]

    def lanes(name, most):
        """One, all, or any number."""
        kind = in_turn(name, ("one", "all", "any"))
        return {"one": 1, "all": most, "any": 1 << rng.integers(most.bit_length())}[kind]

    def depth():
        """A power of two, or what lies between that and the one below."""
        most = max(64, (1 << int(rng.integers(11, 15))) // (ich * rows * cols))
        if in_turn("activation_words", ("power of two", "any")) == "power of two":
            return most
        return 16 * int(np.random.default_rng([seed, number]).integers(most // 32 + 1, most // 16))

    rows, cols = in_turn("tile", TILES)
    compare = in_turn("och to ich", (np.less, np.equal, np.greater))
    sizes = [
        (1 << i, 1 << o)
        for i in range(6)
        for o in range(7)
        if compare(o, i) and rows * cols << i + o <= MOST_PES[simulator]
    ]
    ich, och = sizes[rng.integers(len(sizes))]
    technology = in_turn("technology", pairwise_technologies())
    post_lanes = int(lanes("post_lanes", min(ich, och)))
    # As many pixels at once as there may be.
    post_pixels = cols if post_lanes == och <= ich else 1
    return Configuration(
        ich=ich,
        och=och,
        rows=rows,
        cols=cols,
        constructor_lanes=int(lanes("constructor_lanes", och)),
        post_lanes=post_lanes,
        program_bits=in_turn("program_bits", (8, 16, 32, 64)),
        activation_words=depth(),
        tile_words=1 << int(rng.integers(5, 11)),
        accumulator_bits=int(rng.integers(14, 33)),
        bias_bits=in_turn("bias_bits", (34, 24, 28, 21)),
        largest_batch=in_turn("largest_batch", (1, 2, 4)),
        **asdict(technology) | {"timeout_cycles": 1 << 16, "post_pixels": post_pixels},
    )
