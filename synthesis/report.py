"""What a block of an engine takes of a part, and how fast it is there."""

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from statistics import median
from typing import Any, TypedDict

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.verilog import generate
from hiddenite.synthesis import toolchain
from hiddenite.synthesis.blocks import ENGINE, Block, find_block
from hiddenite.synthesis.harness import HARNESS, wrap
from hiddenite.synthesis.nextpnr import Usage, pack, place_and_route, routing_options
from hiddenite.synthesis.parts import PARTS, Part, memory_blocks
from hiddenite.synthesis.synthesize import Netlist, synthesize

__all__ = ["Report", "Share", "json_text", "measure"]

Progress = Callable[[str, int, int, str], None]

_WORDS = {
    "logic_cells": "logic cells",
    "flip_flops": "flip-flops",
    "block_ram": "block RAMs",
    "single_port_ram": "single-port RAMs",
    "dsp": "DSPs",
}


class Share(TypedDict):
    """How much of a resource is used, and how much of it the part has."""

    used: int
    available: int
    percent: float


class PlaceAndRoute(TypedDict):
    """What came of a block in its harness, placed and routed with several seeds."""

    options: list[str]
    target_mhz: float
    logic_cells_with_harness: int
    fmax_median_mhz: float | None
    fmax_minimum_mhz: float | None
    fmax_maximum_mhz: float | None
    seeds: list[dict[str, Any]]


class Report(TypedDict):
    """What `measure` finds, of values that JSON has."""

    hiddenite: str
    command: str
    block: str
    module: str
    target: str
    part: str
    configuration_name: str
    configuration: dict[str, Any]
    processing_elements: int | None
    tools: dict[str, str]
    synthesis: dict[str, Any]
    packed: dict[str, Share]
    lut4_per_processing_element: float | None
    place_and_route: PlaceAndRoute | None


def measure(
    block_name: str,
    target: str,
    configuration: Configuration,
    *,
    configuration_name: str,
    target_mhz: float | None = None,
    seeds: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Synthesise a block, pack it, and place and route it with several seeds.

    Parameters
    ----------
    block_name : str
        "engine" or a block of it.
    target : str
        Name of a part.
    configuration : Configuration
        The engine's sizes.
    configuration_name : str
        What the user calls them, a preset or a file.
    target_mhz : float, optional
        Clock that place and route is asked for; the part's by default.
    seeds : int
        Place and route with the seeds 1 to `seeds`; 0: not at all.
    jobs : int
        How many seeds run at once.
    progress : callable, optional
        Called with a step, how much of it is done, of how much, and how it goes.

    Returns
    -------
    Report
        ``synthesis`` is the block alone as Yosys makes it, ``packed`` the block alone in the
        part's cells, with the LUT4 of those for each PE (None if it has no PEs) in
        ``lut4_per_processing_element``; ``place_and_route`` (None without seeds) the block in its
        harness.

    Raises
    ------
    InputError
        If there is no such block, a program is missing, or the block does not fit and is to be
        placed.
    RuntimeError
        If a program fails.
    """
    part = PARTS[target]
    yosys, nextpnr = toolchain.yosys(), toolchain.nextpnr(part.family)
    tools = {"yosys": yosys.version, "nextpnr": nextpnr.version}
    if seeds and block_name == ENGINE:
        # Known before anything is synthesised.
        _check_memories(part, configuration)
    steps = progress or (lambda *_: None)
    steps("generate Verilog", 0, 1, "")
    verilog = generate(configuration)
    block = find_block(block_name, verilog, configuration)
    steps("generate Verilog", 1, 1, "")
    netlist = synthesize(verilog, block.module, part, steps)
    steps("pack", 0, 1, "")
    content = netlist.json.read_bytes()
    packed = pack(content, block.module, part)
    steps("pack", 1, 1, "")
    command = ["hiddenite", "synth", block_name, "--target", target, "--config", configuration_name]
    command += [] if target_mhz is None else ["--clock", f"{target_mhz:g}"]
    command += ["--seeds", str(seeds)] if seeds else []
    asked = target_mhz or part.target_mhz
    report: Report = {
        "hiddenite": version("hiddenite"),
        "command": shlex.join(command),
        "block": block.name,
        "module": block.module,
        "target": target,
        "part": part.name,
        "configuration_name": configuration_name,
        "configuration": asdict(configuration),
        "processing_elements": block.processing_elements or None,
        "tools": tools,
        "synthesis": _synthesis(netlist, part),
        "packed": {name: _share(usage) for name, usage in packed.items()},
        "lut4_per_processing_element": _per_element(packed, block),
        "place_and_route": None,
    }
    if seeds:
        _check_fits(block_name, part, packed)
        wrapped = json.dumps(wrap(json.loads(content), block.module, part.family)).encode()
        with_harness = pack(wrapped, HARNESS, part)
        _check_fits(f"{block_name} in its harness", part, with_harness)
        routed = place_and_route(
            wrapped,
            HARNESS,
            part,
            target_mhz=asked,
            seeds=range(1, seeds + 1),
            jobs=jobs,
            progress=steps,
        )
        rates = [result.fmax_mhz for result in routed if result.fmax_mhz is not None]
        report["place_and_route"] = {
            "options": [*part.place, *routing_options(part.family, nextpnr)],
            "target_mhz": asked,
            "logic_cells_with_harness": with_harness["logic_cells"].used,
            "fmax_median_mhz": round(median(rates), 2) if rates else None,
            "fmax_minimum_mhz": min(rates, default=None),
            "fmax_maximum_mhz": max(rates, default=None),
            "seeds": [asdict(result) for result in routed],
        }
    return report


def json_text(report: Report) -> str:
    """Return a report as it is kept in files."""
    return json.dumps(report, indent=2) + "\n"


def _synthesis(netlist: Netlist, part: Part) -> dict[str, Any]:
    kinds = ["lut4", "flip_flops", "carry_cells"]
    kinds += ["distributed_ram"] if part.family == "ecp5" else []
    kinds += ["block_ram"]
    kinds += ["single_port_ram"] if any(b.ports == 1 for b in part.blocks) else []
    facts = {kind: netlist.count(kind) for kind in (*kinds, "dsp")}
    return {
        "options": part.synthesis,
        "seconds": netlist.seconds,
        **facts,
        "cells": netlist.cells,
    }


def _per_element(packed: dict[str, Usage], block: Block) -> float | None:
    # A logic cell has one LUT4; carry cells of an ECP5 take two, and it is in them that sums are.
    if not block.processing_elements:
        return None
    return round(packed["logic_cells"].used / block.processing_elements, 2)


def _share(usage: Usage) -> Share:
    share = 100 * usage.used / usage.available if usage.available else 0
    return {"used": usage.used, "available": usage.available, "percent": round(share, 1)}


def _check_memories(part: Part, configuration: Configuration) -> None:
    for name, (needed, there) in memory_blocks(part, configuration).items():
        if needed > there:
            raise InputError(
                f"engine does not fit {part.name}: {needed:,} {name} needed, {there:,} available"
            )


def _check_fits(what: str, part: Part, packed: dict[str, Usage]) -> None:
    for name, usage in packed.items():
        if usage.used > usage.available:
            raise InputError(
                f"{what} does not fit {part.name}: {usage.used:,} {_WORDS[name]} needed, "
                f"{usage.available:,} available"
            )
