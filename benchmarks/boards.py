"""Tabulate boards: ``python -m hiddenite.benchmarks.boards NETWORK... --reports REPORT.json...``.

Reports are those of ``hiddenite build BOARD --seeds 5 --force``. For each board: what its top takes
of the part, the clock over the seeds, and the cycles that the emitted Verilog of its engine takes
for an image of each network, simulated and checked against the golden model. Images per second are
those of the engine at the board's clock, without the time on the line. Prints Markdown.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.progress import track

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import Configuration
from hiddenite.sim.verify import verify

MEMORIES = {
    ("block_ram", "ice40"): "EBR",
    ("block_ram", "ecp5"): "DP16KD",
    ("single_port_ram", "ice40"): "SPRAM",
}


def cycles(network: Network, c: Configuration) -> int | None:
    """Cycles for an image on the emitted Verilog; None if the network does not fit."""
    try:
        compile_network(network, c)
    except InputError:
        return None
    image = network.input
    shape = (2, image.height, image.width, image.channels)
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    found = verify(network, images, c)
    if not found.equal:
        sys.exit(f"the hardware differs from the golden model: {found.difference}")
    # The first one runs behind a reset.
    return int(found.cycles[-1])


def row(report: dict, networks: list[Network]) -> list[str]:
    """One board's line of the table."""
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
        taken = cycles(network, c)
        line.append("does not fit" if taken is None else f"{taken:,}: {clock * 1e6 / taken:,.0f}/s")
    return line


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
    head += [f"{network.name}: cycles, images" for network in networks]
    rows = [row(r, networks) for r in track(reports, console=Console(stderr=True))]
    print("\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows]))
    print("\n" + "; ".join(sorted({tool for report in reports for tool in report["tools"]})))


if __name__ == "__main__":
    main()
