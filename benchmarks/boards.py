"""Tabulate boards: ``python -m hiddenite.benchmarks.boards NETWORK... --reports REPORT.json...``.

Reports are those of ``hiddenite build BOARD --seeds 5 --force``. The first table has what each
board's top takes of the part, the clock over the seeds, and cycles and images a second of the
engine alone, to which program and image come without a pause. The second has, for the first
network, images a second of the whole board: alone, with program and image from its flash; with a
host, where images come over the UART, and the program from the flash or over the UART, too. The
host of the simulation answers at once. All of it is simulated Verilog, whose results equal the
golden model's. Prints Markdown.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.progress import track

from hiddenite.benchmarks.rates import cycles_alone, cycles_with_host
from hiddenite.boards.boards import BOARDS
from hiddenite.boards.pins import flash_lines
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.link.board_link import LinkParameters
from hiddenite.rtl.configuration import Configuration
from hiddenite.sim.verify import verify

MEMORIES = {
    ("block_ram", "ice40"): "EBR",
    ("block_ram", "ecp5"): "DP16KD",
    ("single_port_ram", "ice40"): "SPRAM",
}


def engine_cycles(network: Network, c: Configuration) -> int | None:
    """Cycles for an image on the emitted Verilog; None if the network does not fit."""
    try:
        compile_network(network, c)
    except InputError:
        return None
    image = network.input
    shape = (2, image.height, image.width, image.channels)
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    found = verify(network, images.view(image.type), c)
    if not found.equal:
        sys.exit(f"the hardware differs from the golden model: {found.difference}")
    # The first one runs behind a reset.
    return int(found.cycles[-1])


def board_row(report: dict, networks: list[Network]) -> list[str]:
    """One board's line of the first table."""
    c = Configuration(**report["configuration"])
    resources = report["resources"]
    family = "ecp5" if "flip_flops" in resources else "ice40"
    memories = [
        f"{resources[kind]['used']} {name}"
        for (kind, of), name in MEMORIES.items()
        if of == family and resources.get(kind, {}).get("used")
    ]
    cells, dsp = resources["logic_cells"], resources.get("dsp", {"used": 0})
    rates = [seed["fmax_mhz"] for seed in report["seeds"] if seed["fmax_mhz"] is not None]
    seeds = f"{min(rates):.1f} to {max(rates):.1f}, {len(rates)} seeds"
    if len(rates) == 1:
        seeds = "1 seed"
    clock = report["clock_mhz"]
    line = [
        f"`{report['board']}`",
        f"{c.ich}x{c.och}x{c.rows}x{c.cols} = {c.processing_elements:,}",
        f"{cells['used']:,} of {cells['available']:,}",
        ", ".join(memories),
        f"{dsp['used']}",
        f"{median(rates):.1f} ({seeds})",
        f"{clock:g} MHz",
        f"{2e-3 * c.processing_elements * clock:.1f}",
    ]
    for network in networks:
        taken = engine_cycles(network, c)
        line.append("does not fit" if taken is None else f"{taken:,}: {clock * 1e6 / taken:,.0f}/s")
    return line


def rate_row(report: dict, network: Network) -> list[str]:
    """One board's line of the second table."""
    c = Configuration(**report["configuration"])
    clock = round(report["clock_mhz"] * 1e6)
    board = BOARDS.get(report["board"])
    if board is not None and board.resources.flash is not None:
        lines = flash_lines(board.platform(), board.resources.flash)
    else:
        lines = report["flash_lines"] or 1
    parameters = LinkParameters(
        configuration=c,
        clock_hz=clock,
        baud=report["baud"],
        name=report["board"],
        flash_lines=lines,
    )
    cycles = [
        cycles_alone(network, parameters),
        cycles_with_host(network, parameters, from_flash=True),
        cycles_with_host(network, parameters, from_flash=False),
    ]
    size = len(compile_network(network, c).bytes)
    shown = ["" if n is None else f"{n:,}: {clock / n:,.0f}/s" for n in cycles]
    return [f"`{report['board']}`", f"{size:,}", *shown]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", help="network files")
    parser.add_argument("--reports", nargs="+", required=True, help="reports of builds")
    arguments = parser.parse_args()
    networks = [Network.load(path) for path in arguments.networks]
    reports = [json.loads(Path(path).read_text()) for path in arguments.reports]
    head = ["board", "PEs (ich x och x rows x cols)", "logic cells", "memories", "DSPs"]
    head += ["Fmax median (range), MHz", "clock", "peak GOPS"]
    head += [f"{network.name}, engine alone: cycles, images" for network in networks]
    console = Console(stderr=True)
    rows = [board_row(report, networks) for report in track(reports, console=console)]
    print(table(head, rows), end="\n\n", flush=True)
    head = ["board", "bytes of the program", "alone, from flash: cycles, images"]
    head += ["program from flash, images over UART", "all over UART"]
    rows = [rate_row(report, networks[0]) for report in track(reports, console=console)]
    print(table(head, rows))
    print("\n" + "; ".join(sorted({tool for report in reports for tool in report["tools"]})))


if __name__ == "__main__":
    main()
