"""Measure every preset: ``python -m hiddenite.benchmarks.presets``.

For each preset: the emitted Verilog (bytes, seconds), cycles per image of the packaged digits
network and of eight stacked 3x3 convs 64 -> 64 on a 16 x 16 map at density 0.3 (against
weights * pixels / PEs), utilisation, mask bits per weight, and simulated cycles per second of that
network: with the default build and, with ``--naive``, with all signals public. Results are checked
against the golden model. Prints Markdown.
"""

import argparse
import statistics
import sys
import time
from functools import partial
from importlib.metadata import version

import numpy as np
from rich.console import Console
from rich.progress import track

from hiddenite.benchmarks.networks import deep_network
from hiddenite.cli.demonstration import load_demo
from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Conv, Network
from hiddenite.rtl.configuration import PRESETS, Configuration
from hiddenite.rtl.verilog import generate
from hiddenite.sim.simulation import Run, Simulation
from hiddenite.sim.toolchain import verilator

REPEATS = 5


def measure(network: Network, images: np.ndarray, c: Configuration, simulation: Simulation):
    """Cycles per image and the median of cycles per second over `REPEATS` simulations."""
    program = compile_network(network, c)
    run = Run(program=program.words, image=program.image_beats(images[0]))
    speeds = []
    for _ in range(REPEATS):
        outcome = simulation.run([run] * 3)[-1]
        speeds.append(simulation.statistics.cycles_per_second)
    if not (program.results(outcome.results) == infer(network, images[:1])).all():
        sys.exit("the hardware differs from the golden model")
    return program, outcome.cycles, statistics.median(speeds)


def row(name: str, naive: bool) -> list[str]:
    """One preset's line of the table."""
    c = PRESETS[name]
    begin = time.perf_counter()
    text = generate(c)
    seconds = time.perf_counter() - begin
    build = partial(Simulation, text, word_bits=c.program_bits, lanes=c.post_lanes)
    simulation = build()
    digits, images, _ = load_demo()
    program, digits_cycles, _ = measure(digits, images, c, simulation)
    deep, image = deep_network()
    line = [
        f"`{name}`",
        f"{c.ich}x{c.och}x{c.rows}x{c.cols} = {c.processing_elements:,}",
        f"{c.activation_bytes // 1024} KiB",
        f"{len(text) / 1e6:.2f} MB, {seconds:.0f} s",
        f"{digits_cycles:,}",
        f"{estimate(program).utilisation:.0%}",
        f"{estimate(program).mask_bits_per_weight:.3f}",
    ]
    try:
        compile_network(deep, c)
    except InputError:
        # Its tensors are larger than the activation memory.
        return [*line, *["does not fit"] * (3 if naive else 2)]
    _, cycles, speed = measure(deep, image, c, simulation)
    weights = sum(layer.mask.size for layer in deep.layers if isinstance(layer, Conv))
    ideal = weights * 256 / c.processing_elements
    line += [f"{cycles:,} ({cycles / ideal:.3f} x ideal)", f"{speed:,.0f}"]
    if naive:
        *_, slow = measure(deep, image, c, build(public=True))
        line.append(f"{slow:,.0f} ({speed / slow:.1f} x slower)")
    return line


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", help="names of presets (default: all)")
    parser.add_argument("--naive", action="store_true", help="also with all signals public")
    arguments = parser.parse_args()
    head = [
        "preset",
        "PEs (ich x och x rows x cols)",
        "activations",
        "Verilog",
        "digits: cycles/image",
        "PEs used",
        "mask bits/weight",
        "8 convs: cycles",
        "cycles/s",
    ]
    if arguments.naive:
        head.append("all signals public")
    names = arguments.presets or list(PRESETS)
    rows = [row(n, arguments.naive) for n in track(names, console=Console(stderr=True))]
    versions = [f"{name} {version(name)}" for name in ("amaranth", "cocotb")]
    print("; ".join([verilator().version, *versions, "one thread"]))
    print("\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows]))


if __name__ == "__main__":
    main()
