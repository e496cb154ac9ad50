"""What Yosys makes of a design: ``python yosys_report.py DESIGN.v REPORT.json``.

A process of its own, as Yosys prints a lot and ends the process when a check fails. The report has
``memories``, a list of [width, depth, count] without those that nothing writes, which are tables,
and ``tables``, the names of these.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from pyosys import libyosys

COMMANDS = (
    "hierarchy -check -top hiddenite",
    "proc",
    "check -assert",
    "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr t:$_DLATCH_* t:$_DLATCHSR_*",
    "opt_clean",
    "memory -nomap",
    "check -assert",
)


def number(parameter):
    """Value of a parameter as Yosys writes it to JSON."""
    return int(parameter, 2)


def collect(modules, name, tables):
    """Count the memories of a module and of what it is made of, by (width, depth)."""
    found = Counter()
    for cell, content in modules[name]["cells"].items():
        if content["type"] == "$mem_v2":
            parameters = content["parameters"]
            if number(parameters["WR_PORTS"]):
                found[number(parameters["WIDTH"]), number(parameters["SIZE"])] += 1
            else:
                tables.append(f"{name}/{cell}")
        elif content["type"] in modules:
            found += collect(modules, content["type"], tables)
    return found


def main(source, report):
    design = libyosys.Design()
    netlist = Path(report).with_suffix(".netlist")
    cells = "read_verilog -lib +/ecp5/ccu2c_sim.vh", "blackbox =CCU2C"
    reads = *cells, f"read_verilog {source}"
    for command in (*reads, *COMMANDS, f"write_json {netlist}"):
        libyosys.run_pass(command, design)
    modules = json.loads(netlist.read_text())["modules"]
    tables = []
    memories = collect(modules, "hiddenite", tables)
    listed = [[width, depth, count] for (width, depth), count in sorted(memories.items())]
    Path(report).write_text(json.dumps({"memories": listed, "tables": tables}))


if __name__ == "__main__":
    main(*sys.argv[1:])
