import pytest

from hiddenite.synthesis.harness import CLOCK, HARNESS, wrap

FLIP_FLOPS = {"ice40": ("SB_DFF", "D", "Q"), "ecp5": ("TRELLIS_FF", "DI", "Q")}
LUTS = {"ice40": ("SB_LUT4", "O"), "ecp5": ("LUT4", "Z")}


def block(inputs, outputs):
    ports = {"clk": {"direction": "input", "bits": [2]}}
    ports["i"] = {"direction": "input", "bits": list(range(3, 3 + inputs))}
    ports["o"] = {"direction": "output", "bits": list(range(100, 100 + outputs))}
    return {"modules": {"b$1": {"attributes": {"top": "1"}, "ports": ports, "cells": {}}}}


@pytest.mark.parametrize("family", FLIP_FLOPS)
@pytest.mark.parametrize("outputs", [0, 1, 4, 21])
def test_every_port_counts(family, outputs):
    modules = wrap(block(7, outputs), "b$1", family)["modules"]
    top = modules[HARNESS]
    assert "top" not in modules["b$1"]["attributes"] and "top" in top["attributes"]
    assert sum(len(port["bits"]) for port in top["ports"].values()) == 3
    cells = list(top["cells"].values())
    kind, data, state = FLIP_FLOPS[family]
    registers = {
        c["connections"][state][0]: c["connections"][data][0] for c in cells if c["type"] == kind
    }
    lut, result = LUTS[family]
    trees = {
        c["connections"][result][0]: [
            n for p, (n,) in c["connections"].items() if p != result and n != "0"
        ]
        for c in cells
        if c["type"] == lut
    }
    (used,) = (c["connections"] for c in cells if c["type"] == "b$1")
    assert used["clk"] == top["ports"][CLOCK]["bits"]
    # Inputs are behind a chain of registers that begins at the pin.
    (before,) = top["ports"]["serial_in"]["bits"]
    for net in used["i"]:
        assert registers[registers[net]] == before
        before = registers[net]
    # Behind the other pin is a tree with every output and the end of the chain as a leaf, once.
    leaves, nets = [], list(top["ports"]["serial_out"]["bits"])
    while nets:
        net = nets.pop()
        if net == before:
            leaves.append(net)
        elif registers[net] in trees:
            nets += trees[registers[net]]
        else:
            leaves.append(registers[net])
    assert sorted(leaves) == sorted([before, *used["o"]])
