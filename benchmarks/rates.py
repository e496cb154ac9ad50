"""How often a simulated board runs a network: alone from its flash, and with a host.

A board alone takes program and images from its flash (``hiddenite build --standalone``). With a
host, images come over the UART, and the program from the flash (``hiddenite run --from-memory``) or
over the UART, too.
"""

from dataclasses import replace
from itertools import pairwise
from statistics import median

import numpy as np

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network
from hiddenite.host.board import Board
from hiddenite.link.board_link import LinkParameters
from hiddenite.link.memory_contents import memory_contents
from hiddenite.sim.board import SimulatedBoard
from hiddenite.sim.board_port import SimulatedPort

__all__ = ["cycles_alone", "cycles_with_host"]

_FLASH_BASE = 4096
"""Where the network lies in the simulated flash; the address costs no time."""
_IMAGES = 4
_POLL_CYCLES = 100
"""How often the simulated LEDs are looked at."""
_DRAWN = 1000
"""Random images among which there must be two classes."""


def cycles_alone(network: Network, parameters: LinkParameters) -> int | None:
    """Clock cycles from image to image of a board that takes all from its flash.

    They are counted between the classes that its LEDs show, which must be those of the golden
    model.

    Parameters
    ----------
    network : Network
        A classifier that fits the board's engine.
    parameters : LinkParameters
        The board's link.

    Returns
    -------
    int or None
        The median of several images, to `_POLL_CYCLES`; None where a board of this configuration
        cannot be alone.
    """
    c = parameters.configuration
    if c.post_lanes != 1:
        return None
    parameters = replace(parameters, flash_base=_FLASH_BASE, standalone=True)
    program = compile_network(network, c)
    images = _images(network, _DRAWN)
    classes = infer(network, images).reshape(_DRAWN, -1).argmax(1)
    # Two images of different classes in turn.
    pair = [0, int((classes != classes[0]).argmax())]
    if pair[1] == 0:
        raise RuntimeError(f"network {network.name!r} puts {_DRAWN} random images into one class")
    inside = memory_contents(
        program.bytes,
        [program.image_beats(images[number]).tobytes() for number in pair],
        fingerprint=c.fingerprint,
    )
    ends: list[int] = []
    shown: list[int] = []
    with SimulatedBoard(parameters, b"\xff" * _FLASH_BASE + inside) as board:
        board.advance(_POLL_CYCLES)
        before = board.number
        while len(ends) < _IMAGES:
            board.advance(_POLL_CYCLES)
            if board.number != before:
                before = board.number
                ends.append(board.cycle)
                shown.append(before)
            if board.error:
                raise RuntimeError("the board stopped with an error")
    if any(set(two) != set(classes[pair]) for two in pairwise(shown[1:])):
        raise RuntimeError(f"the board shows the classes {shown}, not {classes[pair]} in turn")
    return round(median(np.diff(ends[1:]).tolist()))


def cycles_with_host(network: Network, parameters: LinkParameters, *, from_flash: bool) -> int:
    """Clock cycles from the end of one image's result to that of the next, at the host's end.

    The host answers at once, so that the time is the board's and the line's. Every result is
    compared with the golden model.

    Parameters
    ----------
    network : Network
        A network that fits the board's engine.
    parameters : LinkParameters
        The board's link.
    from_flash : bool
        Whether the program comes from the flash and only images pass the UART, or both do.

    Returns
    -------
    int
        The median of several images. Before the first one the session is opened, and during the
        last one there is no next image to send; these two are not among them.
    """
    c = parameters.configuration
    parameters = replace(parameters, flash_base=_FLASH_BASE)
    program = compile_network(network, c)
    inside = memory_contents(program.bytes, fingerprint=c.fingerprint)
    images = _images(network, _IMAGES)
    ends: list[int] = []
    with SimulatedBoard(parameters, b"\xff" * _FLASH_BASE + inside) as board:
        host = Board(SimulatedPort(board), configuration=c)
        result = host.run(
            network, images, from_memory=from_flash, progress=lambda _: ends.append(board.cycle)
        )
    if not np.array_equal(result, infer(network, images)):
        raise RuntimeError("the board's results differ from the golden model's")
    return round(median(np.diff(ends)[:-1].tolist()))


def _images(network: Network, count: int) -> np.ndarray:
    """Random images for a network."""
    shape = count, network.input.height, network.input.width, network.input.channels
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    return images.view(network.input.type)
