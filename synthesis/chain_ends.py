"""Leaves off what ECP5's carry chains do not need at their ends.

Where a carry goes in that is a constant, and where one comes out, nextpnr puts a CCU2C of its own
before or behind the chain: two cells each. Neither is needed where nothing takes the carry that
comes out, or where the lowest bit's table is all zero: it lets no carry through, whatever comes in.
"""

import json
from pathlib import Path

__all__ = ["free_chain_ends"]

_NOTHING = ["x"]


def free_chain_ends(path: Path) -> int:
    """Take off needless carries in a netlist of ECP5's cells, Yosys's JSON, in place.

    Returns
    -------
    int
        How many ends of chains are free now.
    """
    netlist = json.loads(path.read_text())
    freed = sum(_free(module) for module in netlist["modules"].values())
    path.write_text(json.dumps(netlist))
    return freed


def _free(module: dict) -> int:
    cells = list(module["cells"].values())
    used = {net for port in module["ports"].values() for net in port["bits"]}
    for cell in cells:
        for port, nets in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                used.update(nets)
    freed = 0
    for cell in cells:
        if cell["type"] != "CCU2C":
            continue
        ports = cell["connections"]
        if ports["COUT"][0] not in used:
            ports["COUT"] = _NOTHING
            freed += 1
        if isinstance(ports["CIN"][0], str) and int(cell["parameters"]["INIT0"], 2) == 0:
            ports["CIN"] = _NOTHING
            freed += 1
    return freed
