"""Moves flip-flops into the output registers of ECP5's block RAM, which Yosys leaves unused.

A word comes from a DP16KD late in its cycle, and the way from there to flip-flops takes much of
what is left. A block takes them where all bits of port B that are used go to one flip-flop each,
which has no enable, and to nothing else. Blocks that read 36 bits, at both ports, are left alone.
"""

import json
from pathlib import Path

from hiddenite.synthesis.flip_flops import FLIP_FLOP, Nets, common_controls

__all__ = ["absorb_ram_registers"]

_BLOCK = "DP16KD"
_OUTPUTS = tuple(f"DOB{bit}" for bit in range(18))
_OTHER_OUTPUTS = tuple(f"DOA{bit}" for bit in range(18))


def absorb_ram_registers(path: Path) -> int:
    """Use output registers of block RAM in a netlist of ECP5's cells, Yosys's JSON, in place.

    Returns
    -------
    int
        How many blocks use theirs now.
    """
    netlist = json.loads(path.read_text())
    absorbed = sum(_absorb(module) for module in netlist["modules"].values())
    path.write_text(json.dumps(netlist))
    return absorbed


def _absorb(module: dict) -> int:
    cells, nets = module["cells"], Nets(module)
    absorbed = 0
    for block in [cell for cell in cells.values() if cell["type"] == _BLOCK]:
        ports = block["connections"]
        names = _behind(block, nets, cells)
        if not names or common_controls(list(names.values()), cells) != (ports["CLKB"][0], "1"):
            continue
        for port, name in names.items():
            ports[port] = list(cells.pop(name)["connections"]["Q"])
        block["parameters"]["REGMODE_B"] = "OUTREG"
        ports["OCEB"] = ["1"]
        absorbed += 1
    return absorbed


def _behind(block: dict, nets: Nets, cells: dict[str, dict]) -> dict[str, str]:
    """Flip-flop behind each output of port B that is used; none where there is something else."""
    ports, parameters = block["connections"], block["parameters"]
    if (
        parameters["REGMODE_B"] != "NOREG"
        or parameters["CLKBMUX"] != "CLKB"
        or ports["RSTB"][0] != "0"
        or any(nets.users[ports[port][0]] for port in _OTHER_OUTPUTS if port in ports)
    ):
        return {}
    names = {}
    for port in _OUTPUTS:
        users = nets.users[ports[port][0]] if port in ports else []
        if not users:
            continue
        name, taken = users[0]
        if len(users) > 1 or taken != "DI" or cells[name]["type"] != FLIP_FLOP:
            return {}
        names[port] = name
    return names
