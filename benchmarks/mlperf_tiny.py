"""Tabulate the networks of MLPerf Tiny: ``python -m hiddenite.benchmarks.mlperf_tiny``.

The first table has the engine alone on each preset: cycles for an image, and bytes of the program.
The second has boards at their clocks: images a second of the engine alone, and of the whole board,
from its flash where it runs alone, or else over its UART. All are estimates, within 2 % of the
simulated engine and 5 % of the simulated board; with ``--simulate PRESET`` the cycles of these
presets are those of the emitted Verilog, whose result equals the golden model's. Prints Markdown.
"""

import argparse
import sys

import numpy as np
from rich.console import Console
from rich.progress import track

from hiddenite.benchmarks.mlperf_networks import NAMES, mlperf_network
from hiddenite.boards.boards import find_board
from hiddenite.boards.estimate import default_source, estimate_board
from hiddenite.boards.project import Project
from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import PRESETS, Configuration
from hiddenite.sim.verify import verify

from .boards import table

BOARD_NAMES = ("icebreaker", "ulx3s-25f")
NO_ROOM = "does not fit"


def engine_cell(network: Network, c: Configuration, simulate: bool) -> str:
    """Cycles and bytes on an engine."""
    try:
        program = compile_network(network, c)
    except InputError:
        return NO_ROOM
    if not simulate:
        return f"{estimate(program).cycles:,}: {len(program.bytes):,}"
    image = network.input
    shape = (1, image.height, image.width, image.channels)
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8).view(image.type)
    found = verify(network, images, c)
    if not found.equal:
        sys.exit(f"the hardware differs from the golden model: {found.difference}")
    return f"{int(found.cycles[0]):,}: {len(program.bytes):,}"


def board_cells(network: Network, name: str) -> list[str]:
    """Images a second of a board's engine, and of the board."""
    project = Project.of_board(find_board(name))
    _, parameters = project.plan(project.platform())
    try:
        program = compile_network(network, project.configuration)
    except InputError:
        return [NO_ROOM, NO_ROOM]
    source = default_source(parameters)
    whole = estimate_board(program, parameters, source)
    alone = whole.clock_hz / whole.engine_cycles
    return [f"{alone:,.0f}/s", f"{whole.images_per_second:,.1f}/s from {source}"]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--density", type=float, default=0.3, help="share of weights to keep")
    parser.add_argument("--simulate", nargs="*", default=[], metavar="PRESET", choices=PRESETS)
    arguments = parser.parse_args()
    console = Console(stderr=True)
    networks = {name: mlperf_network(name, arguments.density) for name in NAMES}
    rows = []
    for name, c in track(PRESETS.items(), console=console):
        cells = [engine_cell(n, c, name in arguments.simulate) for n in networks.values()]
        rows.append([f"`{name}`", *cells])
    head = ["preset", *(f"{name}: cycles, bytes" for name in NAMES)]
    print(table(head, rows), end="\n\n")
    rows = []
    for board in BOARD_NAMES:
        cells = [cell for n in networks.values() for cell in board_cells(n, board)]
        rows.append([f"`{board}`", *cells])
    head = ["board", *(f"{name}, {what}" for name in NAMES for what in ("engine alone", "board"))]
    print(table(head, rows))


if __name__ == "__main__":
    main()
