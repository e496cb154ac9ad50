"""Synthesises a module with Yosys, once for each text and part."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hiddenite.sim.cache import entry, new_entry
from hiddenite.synthesis import toolchain
from hiddenite.synthesis.netlist_passes import PASSES, run_netlist_passes
from hiddenite.synthesis.parts import Part
from hiddenite.synthesis.yosys import run_yosys

__all__ = ["Netlist", "synthesize"]

Progress = Callable[[str, int, int, str], None]

_JSON, _VERILOG, _FACTS = "netlist.json", "netlist.v", "facts.json"
# Cells of each family that are counted as one kind; flip-flops of iCE40 have a name for each way
# of set, reset and enable.
_KINDS = {
    "lut4": ("SB_LUT4", "LUT4"),
    "flip_flops": ("SB_DFF", "TRELLIS_FF"),
    "carry_cells": ("SB_CARRY", "CCU2C"),
    "distributed_ram": ("TRELLIS_DPR16X4",),
    "block_ram": ("SB_RAM40_4K", "DP16KD"),
    "single_port_ram": ("SB_SPRAM256KA",),
    "dsp": ("SB_MAC16", "MULT18X18D"),
}


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A synthesised module.

    Attributes
    ----------
    directory : Path
        Where it lies in the cache.
    module : str
        Name of the module.
    cells : dict of str to int
        Cells of each type, those without hardware left out.
    seconds : float
        Time that synthesis took.
    """

    directory: Path
    module: str
    cells: dict[str, int]
    seconds: float

    @property
    def json(self) -> Path:
        """Netlist as nextpnr takes it."""
        return self.directory / _JSON

    @property
    def verilog(self) -> Path:
        """Netlist as Verilog, made of the vendor's cells."""
        return self.directory / _VERILOG

    def count(self, kind: str) -> int:
        """Cells of a kind: lut4, flip_flops, carry_cells, distributed_ram, block_ram,
        single_port_ram or dsp."""
        prefixes = _KINDS[kind]
        return sum(n for cell, n in self.cells.items() if cell.startswith(prefixes))


def synthesize(verilog: str, module: str, part: Part, progress: Progress | None = None) -> Netlist:
    """Synthesise a module, flat, with all its ports and no pins, or take it from the cache.

    Parameters
    ----------
    verilog : str
        Text that has the module and all that it is made of.
    module : str
        Name of the module.
    part : Part
        What it is made for.
    progress : callable, optional
        Called with a step, how much of it is done, of how much, and how it goes.

    Raises
    ------
    InputError
        If Yosys is missing.
    RuntimeError
        If it fails.
    """
    version = toolchain.yosys().version
    passes = [change.__name__ for change in PASSES[part.family]]
    final = entry("netlist", verilog, module, part.synthesis, version, passes)
    step = "synthesise"
    if not final.is_dir():
        with new_entry(final) as (work, finished):
            (work / "design.v").write_text(verilog)
            commands = [
                "read_verilog design.v",
                f"{part.synthesis} -top \\{module}",
                "check -assert",
                f"write_json finished/{_JSON}",
            ]
            began = time.perf_counter()
            watch = None if progress is None else lambda text: progress(step, 0, 1, text.lower())
            run_yosys(commands, work, watch)
            run_netlist_passes(finished / _JSON, part.family)
            commands = [
                f"read_json finished/{_JSON}",
                f"write_verilog -noattr finished/{_VERILOG}",
            ]
            run_yosys(commands, work, watch)
            facts = {
                "seconds": round(time.perf_counter() - began, 1),
                "cells": _cells(finished / _JSON, module),
            }
            (finished / _FACTS).write_text(json.dumps(facts))
    if progress is not None:
        progress(step, 1, 1, "")
    return Netlist(directory=final, module=module, **json.loads((final / _FACTS).read_text()))


def _cells(path: Path, module: str) -> dict[str, int]:
    cells = json.loads(path.read_text())["modules"][module]["cells"].values()
    # Yosys keeps the names of what it has flattened as cells.
    return dict(sorted(Counter(c["type"] for c in cells if c["type"][0] != "$").items()))
