"""Random configurations of small engines."""

import zlib

import numpy as np

from hiddenite.rtl.configuration import Configuration

TILES = ((1, 1), (1, 2), (4, 1), (2, 2), (2, 1), (1, 4), (4, 2))
MOST_PES = {"verilator": 256, "icarus": 64}


def random_configuration(seed, number, simulator):
    """Return configuration `number` of a seed.

    Of every parameter with k kinds of values, each k configurations in turn have all k kinds.
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
    ports = in_turn("activation_ports", (1, 2))
    latency = in_turn("read_latency", (2, 3, 4, 5, 6, 7))
    decoder = in_turn("mask_decoder", ("parallel", "serial"))
    period = in_turn("constructor_period", (1, 2))
    return Configuration(
        ich=ich,
        och=och,
        rows=rows,
        cols=cols,
        constructor_lanes=int(lanes("constructor_lanes", och)),
        post_lanes=int(lanes("post_lanes", min(ich, och))),
        program_bits=in_turn("program_bits", (8, 16, 32, 64)),
        activation_words=depth(),
        activation_ports=ports,
        read_latency=min(latency, 3) if ports == 1 else latency,
        tile_words=1 << int(rng.integers(5, 11)),
        accumulator_bits=int(rng.integers(14, 33)),
        bias_bits=in_turn("bias_bits", (34, 24, 28, 21)),
        array=in_turn("array", ("tree", "flip", "chain", "combinational")),
        shifter=in_turn("shifter", ("multiplexers", "multipliers")),
        output_path=in_turn("output_path", ("short", "long")),
        mask_decoder=decoder,
        constructor_period=period if decoder == "parallel" else 1,
        timeout_cycles=1 << 16,
    )
