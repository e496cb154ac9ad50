"""Packs, places and routes netlists with nextpnr; every result is kept in the cache."""

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hiddenite.sim.cache import cache_directory, entry, new_entry
from hiddenite.synthesis import toolchain
from hiddenite.synthesis.parts import Part
from hiddenite.synthesis.processes import Ended, Job, read_log, run, tail

__all__ = [
    "RESOURCES",
    "Routed",
    "Usage",
    "out_of_reach",
    "pack",
    "place_and_route",
    "routing_options",
    "why_failed",
]

RESOURCES = {
    "ice40": {
        "logic_cells": "ICESTORM_LC",
        "block_ram": "ICESTORM_RAM",
        "single_port_ram": "ICESTORM_SPRAM",
        "dsp": "ICESTORM_DSP",
    },
    "ecp5": {
        "logic_cells": "TRELLIS_COMB",
        "flip_flops": "TRELLIS_FF",
        "block_ram": "DP16KD",
        "dsp": "MULT18X18D",
    },
}
"""What nextpnr calls the resources that are reported."""

_DESIGN, _REPORT, _PINS = "design.json", "report.json", "pins.lpf"
# A pin for clocks of the package CABGA381, whatever is in it. From where the static placer puts a
# clock without one, there may be no way to the clock tree.
_CLOCK_PIN = 'LOCATE COMP "clk" SITE "G2";\n'
# What the log says when a phase begins, the latest first.
_PHASES = (
    ("route", re.compile(r"^Info: Routing", re.M)),
    ("place", re.compile(r"^Info: (?:Creating initial|Placed|Running)", re.M)),
)
_ERROR = re.compile(r"^ERROR: (.*)$", re.M)
_ROUND = re.compile(r"^Info:\s+iter=(\d+) .*overused=(\d+) .*tmgfail=(\d+)", re.M)
# Full parts whose clock can be reached take 20 to 50. Without a clash of wires, what comes of it is
# a result, and nextpnr ends by itself after 1,500 quick rounds.
_MOST_ROUNDS, _FEW_CLASHES = 100, 100


@dataclass(frozen=True)
class Usage:
    """How much of a resource a netlist takes, and how much of it the part has."""

    used: int
    available: int


@dataclass(frozen=True, kw_only=True)
class Routed:
    """What came of one seed.

    Attributes
    ----------
    seed : int
    fmax_mhz : float or None
        Highest clock rate of the paths from register to register; None where `error` is given.
    seconds : float
        Time it took.
    error : str or None
        Why the netlist is not placed and routed.
    """

    seed: int
    fmax_mhz: float | None
    seconds: float
    error: str | None = None


def routing_options(family: str, tool: toolchain.Tool) -> list[str]:
    """Return nextpnr's options for placing and routing a full part of a family.

    On an ECP5, its usual placer makes an engine's wires half as long again as the other one does.
    router1 does not converge on an engine that fills most of the part; the second leaves
    detours, some of 10 ns, unless it is told to route again what is too slow for the clock that is
    asked for. Where nextpnr is built with threads, it has a refinement that takes seconds in place
    of minutes; with one thread, so that what comes of a seed does not depend on the machine.
    """
    if family != "ecp5":
        return []
    refine = ["--parallel-refine", "--threads", "1"]
    if refine[0] not in _help(tool):
        refine = []
    return ["--placer", "static", "--router", "router2", "--tmg-ripup", *refine]


def out_of_reach(log: Path) -> str | None:
    """Say why routing will not end well, if it goes on for too long.

    Where a clock is out of reach, nextpnr routes what is too slow again and again, and takes other
    nets' wires for it.

    Parameters
    ----------
    log : Path
        What nextpnr has printed so far.
    """
    rounds = _ROUND.findall(read_log(log))
    number, clashes, slow = map(int, rounds[-1]) if rounds else (0, 0, 0)
    if number < _MOST_ROUNDS or clashes < _FEW_CLASHES:
        return None
    return (
        f"after {number} rounds of routing, {clashes:,} wires are used twice and {slow:,} "
        "connections too slow: ask for a lower clock"
    )


def why_failed(log: Path) -> str:
    """Say in a line why nextpnr did not place and route, from its log."""
    said = [out_of_reach(log), *_ERROR.findall(read_log(log)), *tail(log)[-1:]]
    return next(filter(None, said), "it said nothing")


@cache
def _help(tool: toolchain.Tool) -> str:
    done = subprocess.run([*tool.command, "--help"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


class _Work:
    """A netlist and a part, and how nextpnr is started with them."""

    def __init__(self, netlist: bytes, top: str, part: Part) -> None:
        self.tool = toolchain.nextpnr(part.family)
        self.netlist = netlist
        self.arguments = ["--json", _DESIGN, "--top", top, *part.place]
        self._key = [hashlib.sha256(netlist).hexdigest(), self.tool.version]

    def entry(self, kind: str, options: Sequence[str]) -> Path:
        return entry(kind, *self._key, self.arguments, list(options))

    def job(self, directory: Path, name: str, options: Sequence[str]) -> Job:
        # Names without a folder, and temporary files here: in WebAssembly, a program sees little
        # more than its own folder.
        return Job(
            command=(*self.tool.command, *self.arguments, *options),
            directory=directory,
            log=directory / f"{name}.log",
            variables={"TMPDIR": str(directory)},
        )


def pack(netlist: bytes, top: str, part: Part) -> dict[str, Usage]:
    """Pack a netlist into the part's cells.

    Parameters
    ----------
    netlist : bytes
        Yosys's JSON.
    top : str
        Name of its top module; may have more ports than the part has pins.
    part : Part
        The part.

    Returns
    -------
    dict of str to Usage
        For each resource of `RESOURCES` that the part has.

    Raises
    ------
    InputError
        If nextpnr is missing.
    RuntimeError
        If it fails; the message ends with the last lines of the log.
    """
    work = _Work(netlist, top, part)
    options = ["--pack-only"]
    final = work.entry("pack", options)
    if not final.is_dir():
        with new_entry(final) as (directory, finished):
            (directory / _DESIGN).write_bytes(netlist)
            job = work.job(directory, "pack", [*options, "--report", f"finished/{_REPORT}"])
            statuses = []
            run([job], ended=lambda _, end: statuses.append(end.status))
            if statuses != [0]:
                raise RuntimeError("\n".join([f"{work.tool.name} failed:", *tail(job.log)]))
            assert (finished / _REPORT).is_file()
    found = json.loads((final / _REPORT).read_text())["utilization"]
    # Not every part of a family has all of them.
    return {
        name: Usage(**found[own]) for name, own in RESOURCES[part.family].items() if own in found
    }


def place_and_route(
    netlist: bytes,
    top: str,
    part: Part,
    *,
    target_mhz: float,
    seeds: Sequence[int],
    jobs: int,
    progress: Callable[[str, int, int, str], None] | None = None,
) -> list[Routed]:
    """Place and route a netlist with several seeds, side by side.

    Parameters
    ----------
    netlist, top, part
        As `pack` takes them; the top has no more ports than the part has pins.
    target_mhz : float
        Clock that is asked for; a slower result is a result, too.
    seeds : sequence of int
        What nextpnr's random numbers begin with.
    jobs : int
        How many processes run at once.
    progress : callable, optional
        Called with a step, how many seeds are done, of how many, and what the others do.

    Returns
    -------
    list of Routed
        One for each seed.

    Raises
    ------
    InputError
        If nextpnr is missing.
    """
    work = _Work(netlist, top, part)
    common = ["--freq", f"{target_mhz:g}", "--timing-allow-fail"]
    common += routing_options(part.family, work.tool)
    if part.family == "ecp5":
        common += ["--lpf", _PINS, "--lpf-allow-unconstrained"]
    options = {seed: [*common, "--seed", str(seed)] for seed in seeds}
    entries = {seed: work.entry("route", options[seed]) for seed in seeds}
    missing = [seed for seed in seeds if not entries[seed].is_dir()]
    failed: dict[int, Routed] = {}
    cache_directory().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_directory(), prefix="building-") as temporary:
        directory = Path(temporary)
        (directory / _DESIGN).write_bytes(netlist)
        (directory / _PINS).write_text(_CLOCK_PIN)
        planned = [
            work.job(directory, f"{s}", [*options[s], "--report", f"{s}.json"]) for s in missing
        ]

        def keep(number: int, end: Ended) -> None:
            seed, seconds = missing[number], round(end.seconds, 1)
            if end.status:
                error = why_failed(planned[number].log)
                failed[seed] = Routed(seed=seed, fmax_mhz=None, seconds=seconds, error=error)
                return
            report = json.loads((directory / f"{seed}.json").read_text())
            (clock,) = report["fmax"].values()
            facts = {"fmax_mhz": round(clock["achieved"], 2), "seconds": seconds}
            with new_entry(entries[seed]) as (_, finished):
                (finished / _REPORT).write_text(json.dumps(facts))

        def show(running: Sequence[int], done: int) -> None:
            if progress is not None:
                doing = ", ".join(f"seed {missing[n]}: {_phase(planned[n].log)}" for n in running)
                progress("place and route", len(seeds) - len(missing) + done, len(seeds), doing)

        def hopeless(number: int) -> bool:
            return out_of_reach(planned[number].log) is not None

        show([], 0)
        run(planned, at_once=jobs, watch=show, hopeless=hopeless, ended=keep)
    return [failed.get(seed) or _read(entries[seed], seed) for seed in seeds]


def _read(final: Path, seed: int) -> Routed:
    return Routed(seed=seed, **json.loads((final / _REPORT).read_text()))


def _phase(log: Path) -> str:
    text = read_log(log)
    return next((name for name, mark in _PHASES if mark.search(text)), "pack")
