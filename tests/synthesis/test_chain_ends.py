import json

import pytest

from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.verilog import generate
from hiddenite.synthesis.blocks import find_block
from hiddenite.synthesis.chain_ends import free_chain_ends
from hiddenite.synthesis.netlist_passes import PASSES
from hiddenite.synthesis.nextpnr import pack
from hiddenite.synthesis.parts import PARTS
from hiddenite.synthesis.synthesize import synthesize

CHAIN = Configuration(ich=8, och=1, activation_words=16, tile_words=16, array="chain")
DIRECTIONS = {"A0": "input", "CIN": "input", "S0": "output", "COUT": "output"}


def ccu2c(carried_in, carried_out, init0=0x96AA, a=2, total=3):
    """Cell of a carry chain, as far as it matters here."""
    nets = {"A0": a, "CIN": carried_in, "S0": total, "COUT": carried_out}
    return {
        "type": "CCU2C",
        "parameters": {"INIT0": f"{init0:016b}", "INIT1": f"{0x96AA:016b}"},
        "port_directions": DIRECTIONS,
        "connections": {port: [net] for port, net in nets.items()},
    }


def freed(tmp_path, ports=(), **cells):
    """Carries in and out of all cells afterwards, and how many ends are free now."""
    outputs = {f"o{net}": {"direction": "output", "bits": [net]} for net in ports}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": outputs, "cells": cells}}}))
    count = free_chain_ends(path)
    after = json.loads(path.read_text())["modules"]["top"]["cells"]
    return {
        name: tuple(cell["connections"][port][0] for port in ("CIN", "COUT"))
        for name, cell in after.items()
    }, count


def test_carry_out_that_nothing_takes(tmp_path):
    assert freed(tmp_path, cell=ccu2c(4, 5)) == ({"cell": (4, "x")}, 1)


def test_carry_out_that_a_port_takes(tmp_path):
    assert freed(tmp_path, [5], cell=ccu2c(4, 5)) == ({"cell": (4, 5)}, 0)


@pytest.mark.parametrize("port", ["CIN", "A0"])
def test_carry_out_that_another_cell_takes(tmp_path, port):
    other = ccu2c(5, 6) if port == "CIN" else ccu2c(4, 6, a=5)
    after, count = freed(tmp_path, cell=ccu2c(4, 5), other=other)
    assert after["cell"] == (4, 5) and count == 1


@pytest.mark.parametrize("constant", ["0", "1"])
def test_constant_carry_into_a_table_of_zeros(tmp_path, constant):
    assert freed(tmp_path, [5], cell=ccu2c(constant, 5, 0)) == ({"cell": ("x", 5)}, 1)


@pytest.mark.parametrize("init", [0x8000, 0x0001, 0x96AA])
def test_constant_carry_into_another_table(tmp_path, init):
    assert freed(tmp_path, [5], cell=ccu2c("0", 5, init)) == ({"cell": ("0", 5)}, 0)


def test_carry_of_another_cell_into_a_table_of_zeros(tmp_path):
    assert freed(tmp_path, [5], cell=ccu2c(4, 5, 0)) == ({"cell": (4, 5)}, 0)


def test_other_cells_are_left_alone(tmp_path):
    other = ccu2c("0", 5, 0) | {"type": "OTHER"}
    assert freed(tmp_path, cell=other) == ({"cell": ("0", 5)}, 0)


def test_a_chain_takes_fewer_cells(part, own_cache, monkeypatch):
    if part is not PARTS["ecp5-25f"]:
        pytest.skip("has no carries of ECP5")
    verilog = generate(CHAIN)
    module = find_block("dot-product", verilog, CHAIN).module

    def cells():
        netlist = synthesize(verilog, module, part)
        return pack(netlist.json.read_bytes(), module, part)["logic_cells"].used

    after = cells()
    monkeypatch.setitem(PASSES, "ecp5", ())
    assert after < cells()
