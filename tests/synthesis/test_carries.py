import itertools
import json

import pytest

from hiddenite.synthesis.carries import align_carries
from hiddenite.synthesis.netlist_passes import PASSES
from hiddenite.synthesis.nextpnr import pack
from hiddenite.synthesis.parts import PARTS
from hiddenite.synthesis.synthesize import synthesize

INPUTS = ("I0", "I1", "I2", "I3")
MASKED = """\
module masked (input clk, input mask, input [7:0] a, x, output reg [7:0] total);
  always @(posedge clk) total <= mask ? a + x : a;
endmodule
"""


def lut(table, *nets):
    connections = {port: [net] for port, net in zip(INPUTS, nets, strict=True)}
    return {
        "type": "SB_LUT4",
        "parameters": {"LUT_INIT": f"{table:016b}"},
        "connections": connections,
    }


def carry(left, right, carried, out):
    ports = {"I0": left, "I1": right, "CI": carried, "CO": out}
    return {"type": "SB_CARRY", "connections": {port: [net] for port, net in ports.items()}}


def aligned(tmp_path, **cells):
    """Cells afterwards, and how many LUTs were changed."""
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    changed = align_carries(path)
    return json.loads(path.read_text())["modules"]["top"]["cells"], changed


def nets(cell):
    return [cell["connections"][port][0] for port in INPUTS]


def values(cell):
    """What a LUT gives for all values of its nets, which go up to 9."""
    table = cell["parameters"]["LUT_INIT"][::-1]
    found = []
    for bits in itertools.product("01", repeat=8):
        known = dict(zip(range(2, 10), bits, strict=True)) | {"0": "0", "1": "1"}
        found.append(table[int("".join(known[net] for net in nets(cell)[::-1]), 2)])
    return found


@pytest.mark.parametrize("order", [*itertools.permutations((2, 3, 4, "0"))])
def test_lowest_bit(tmp_path, order):
    before = lut(0b1011_0110_0001_1101, *order)
    cells, changed = aligned(tmp_path, lut=before, carry=carry(2, 3, "0", 5))
    after = nets(cells["lut"])
    assert after[1:3] == [2, 3] and sorted(map(str, after)) == sorted(map(str, order))
    assert changed == (order[1:3] != (2, 3))
    assert values(cells["lut"]) == values(before)
    assert cells["carry"] == carry(2, 3, "0", 5)


def test_lowest_bit_with_four_inputs(tmp_path):
    before = lut(0x6C9A, 4, 3, 2, 6)
    cells, changed = aligned(tmp_path, lut=before, carry=carry(2, 3, "1", 5))
    assert changed == 1 and nets(cells["lut"])[1:3] == [2, 3]
    assert values(cells["lut"]) == values(before)


def test_highest_bit(tmp_path):
    before = lut(0x1D36, 5, 6, 7, "0")
    cells, changed = aligned(tmp_path, lut=before, carry=carry(2, 3, 8, 5))
    assert changed == 1 and nets(cells["lut"])[3] == 5
    assert values(cells["lut"]) == values(before)


def test_what_fits_is_left_alone(tmp_path):
    """Even where another carry would like it; and a carry's LUT is not another one's."""
    given = {
        "low": lut(0x6666, "0", 2, 3, "0"),
        "carry_low": carry(2, 3, "0", 5),
        "next": lut(0x6996, "0", 6, 7, 5),
        "carry_next": carry(6, 7, 5, 8),
        "other_low": carry(7, 6, "0", 9),
    }
    cells, changed = aligned(tmp_path, **given)
    assert changed == 0 and cells == given


def test_bits_in_between_and_constants_are_left_alone(tmp_path):
    given = {
        "lut": lut(0x6996, 6, 7, "1", "0"),
        "middle": carry(6, 7, 5, 8),
        "constant": carry(6, "1", "0", 9),
    }
    cells, changed = aligned(tmp_path, **given)
    assert changed == 0 and cells == given


def test_one_lut_serves_one_carry(tmp_path):
    cells, changed = aligned(
        tmp_path, lut=lut(0x6C9A, 3, 2, 4, "0"), a=carry(2, 3, "0", 5), b=carry(3, 4, "0", 6)
    )
    assert changed == 1 and nets(cells["lut"])[1:3] == [2, 3]


def test_a_masked_adder_takes_a_cell_a_bit(part, own_cache, monkeypatch):
    if part is not PARTS["up5k"]:
        pytest.skip("has no carries of iCE40")

    def cells():
        netlist = synthesize(MASKED, "masked", part)
        return pack(netlist.json.read_bytes(), "masked", part)["logic_cells"].used

    after = cells()
    monkeypatch.setitem(PASSES, "ice40", ())
    assert after == cells() - 1
