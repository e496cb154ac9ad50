"""Cells of netlists, as Yosys writes them, for tests of what is changed in netlists."""

import json

from hiddenite.synthesis.nextpnr import pack
from hiddenite.synthesis.synthesize import synthesize

CLOCK = 2
"""Net of the clock."""


def cell(kind, outputs, parameters=None, **ports):
    """A cell whose ports are a net each; those that ``outputs`` has are outputs."""
    return {
        "type": kind,
        "parameters": parameters or {},
        "port_directions": {port: "output" if port in outputs else "input" for port in ports},
        "connections": {port: [net] for port, net in ports.items()},
    }


def flip_flop(taken, given, clock=CLOCK, enable="1", reset="0", **parameters):
    """A flip-flop without anything special; parameters are those that it has instead."""
    plain = {"CEMUX": "CE", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"}
    ports = {"CLK": clock, "CE": enable, "LSR": reset, "DI": taken, "Q": given}
    return cell("TRELLIS_FF", "Q", plain | parameters, **ports)


DIFFERENCES = [
    {"reset": 9},
    {"reset": "1"},
    {"LSRMUX": "INV"},
    {"REGSET": "SET"},
    {"GSR": "ENABLED"},
    {"CLKMUX": "INV"},
    {"CEMUX": "INV"},
    {"CEMUX": "0 "},
    {"clock": 9},
    {"enable": 9},
]
"""What a flip-flop can have that registers of blocks have not."""


def changed(path, change, cells, ports):
    """Change a netlist in a file whose ports give these nets: the cells then, and what it tells."""
    outputs = {f"o{net}": {"direction": "output", "bits": [net]} for net in ports}
    path.write_text(json.dumps({"modules": {"top": {"ports": outputs, "cells": cells}}}))
    told = change(path)
    return json.loads(path.read_text())["modules"]["top"]["cells"], told


def packed_cells(verilog, part, kinds):
    """How many cells of these kinds the module ``registered`` takes of a part."""
    netlist = synthesize(verilog, "registered", part)
    packed = pack(netlist.json.read_bytes(), "registered", part)
    return {kind: packed[kind].used for kind in kinds}
