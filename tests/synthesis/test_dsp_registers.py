import netlist_cells
import pytest
from netlist_cells import CLOCK, DIFFERENCES, cell, changed, packed_cells

from hiddenite.synthesis.dsp_registers import absorb_dsp_registers
from hiddenite.synthesis.netlist_passes import PASSES
from hiddenite.synthesis.parts import PARTS

ENABLE = 3
FACTORS = [f"{factor}{bit}" for factor in "AB" for bit in range(18)]
PRODUCT = [f"P{bit}" for bit in range(36)]
# Nets of a block's ports and of what stands before and behind them.
LEFT, RIGHT, FRONT, BEHIND, OTHER = 10, 11, 100, 1000, 5000
REGISTERED = """\
module registered (
  input clk, input enable, input signed [17:0] a, input signed [15:0] b, output reg [33:0] p
);
  reg signed [17:0] held_a = 0;
  reg signed [15:0] held_b = 0;
  initial p = 0;
  always @(posedge clk) if (enable) begin
    held_a <= a;
    held_b <= b;
    p <= held_a * held_b;
  end
endmodule
"""


def flip_flop(taken, given, **options):
    return netlist_cells.flip_flop(taken, given, **({"enable": ENABLE} | options))


def multiplier(left=LEFT, right=RIGHT, product=FRONT):
    """Block whose factors have a bit each and the sign above it, its product two."""
    nets = dict.fromkeys(FACTORS, "0") | dict.fromkeys(FACTORS[:18], left)
    nets["B0"] = right
    nets |= {port: product + bit for bit, port in enumerate(PRODUCT)}
    constants = {"SIGNEDA": "1", "SIGNEDB": "1", "SOURCEA": "0", "SOURCEB": "0"}
    return cell("MULT18X18D", PRODUCT, **nets, **constants)


def whole(**changes):
    """A block with flip-flops before it and behind it; changes are other cells, or None."""
    cells = {
        "block": multiplier(),
        "left": flip_flop(20, LEFT),
        "right": flip_flop(21, RIGHT),
        "low": flip_flop(FRONT, BEHIND),
        "high": flip_flop(FRONT + 1, BEHIND + 1),
    }
    return {name: made for name, made in (cells | changes).items() if made is not None}


def absorbed(tmp_path, cells, ports=(BEHIND, BEHIND + 1)):
    """Cells afterwards, and how many registers are used."""
    return changed(tmp_path / "netlist.json", absorb_dsp_registers, cells, ports)


def registers(block):
    """Which registers of a block are used."""
    found = {
        name.split("_")[1]: value
        for name, value in block["parameters"].items()
        if name.startswith("REG_") and name.endswith("_CLK")
    }
    assert set(found.values()) <= {"CLK0"}
    return set(found)


def ports(block, *names):
    return [block["connections"][name][0] for name in names]


def test_all_registers(tmp_path):
    cells, count = absorbed(tmp_path, whole())
    assert count == 2 and list(cells) == ["block"]
    block = cells["block"]
    assert registers(block) == {"INPUTA", "INPUTB", "OUTPUT"}
    for register in registers(block):
        assert block["parameters"][f"REG_{register}_CE"] == "CE0"
        assert block["parameters"][f"REG_{register}_RST"] == "RST0"
    assert block["parameters"]["GSR"] == "DISABLED"
    assert ports(block, "CLK0", "CE0", "RST0") == [CLOCK, ENABLE, "0"]
    assert {block["port_directions"][port] for port in ("CLK0", "CE0", "RST0")} == {"input"}
    assert ports(block, "A0", "A17", "B0", "B1") == [20, 20, 21, "0"]
    assert ports(block, "P0", "P1", "P2") == [BEHIND, BEHIND + 1, FRONT + 2]


def test_second_time_changes_nothing(tmp_path):
    once, _ = absorbed(tmp_path, whole(before=flip_flop(30, 20)))
    assert absorbed(tmp_path, once) == (once, 0)


def test_no_enable(tmp_path):
    # As Yosys writes it.
    given = {
        name: made
        if name == "block"
        else made | {"parameters": made["parameters"] | {"CEMUX": "1 "}}
        for name, made in whole().items()
    }
    cells, count = absorbed(tmp_path, given)
    assert count == 2 and ports(cells["block"], "CE0") == ["1"]


def test_flip_flops_that_others_use_stay(tmp_path):
    given = whole()
    cells, count = absorbed(tmp_path, given, [LEFT, BEHIND, BEHIND + 1])
    assert count == 2 and sorted(cells) == ["block", "left"]
    assert cells["left"] == given["left"] and ports(cells["block"], "A0") == [20]


@pytest.mark.parametrize("name", ["left", "right"])
def test_both_factors_or_none(tmp_path, name):
    given = whole(**{name: None})
    cells, count = absorbed(tmp_path, given)
    assert count == 1 and registers(cells["block"]) == {"OUTPUT"}
    assert ports(cells["block"], *FACTORS) == ports(given["block"], *FACTORS)
    assert len(cells) == 2


def test_a_constant_that_is_not_0(tmp_path):
    block = multiplier()
    block["connections"]["B1"] = ["1"]
    cells, _ = absorbed(tmp_path, whole(block=block))
    assert registers(cells["block"]) == {"OUTPUT"}


@pytest.mark.parametrize("taker", ["port", "flip-flop", "logic", "memory"])
@pytest.mark.parametrize("alone", [False, True])
def test_products_that_something_else_takes(tmp_path, taker, alone):
    others = {
        "flip-flop": flip_flop(OTHER, OTHER + 1, enable=FRONT),
        "logic": cell("LUT4", "Z", A=FRONT, Z=OTHER),
        "memory": cell("TRELLIS_DPR16X4", "DO", DI=FRONT, DO=OTHER),
    }
    given = whole(other=others.get(taker))
    if alone:
        del given["low"]
    outputs = [BEHIND, BEHIND + 1, FRONT if taker == "port" else OTHER]
    cells, count = absorbed(tmp_path, given, outputs)
    assert count == 1 and registers(cells["block"]) == {"INPUTA", "INPUTB"}
    assert ports(cells["block"], *PRODUCT) == ports(given["block"], *PRODUCT)


def test_a_product_that_two_flip_flops_take(tmp_path):
    given = whole(other=flip_flop(FRONT, OTHER))
    cells, count = absorbed(tmp_path, given, [BEHIND, BEHIND + 1, OTHER])
    assert count == 1 and registers(cells["block"]) == {"INPUTA", "INPUTB"}


@pytest.mark.parametrize("change", DIFFERENCES)
def test_flip_flops_that_differ(tmp_path, change):
    given = whole(left=flip_flop(20, LEFT, **change))
    cells, count = absorbed(tmp_path, given)
    assert count == 1 and registers(cells["block"]) == {"OUTPUT"}
    given = whole(low=flip_flop(FRONT, BEHIND, **change))
    cells, count = absorbed(tmp_path, given)
    assert count == 1 and registers(cells["block"]) == {"INPUTA", "INPUTB"}
    assert cells["low"] == given["low"]


def second(**options):
    """Another block with flip-flops before it and behind it."""
    return {
        "other": multiplier(30, 31, 200),
        "other_left": flip_flop(40, 30, **options),
        "other_right": flip_flop(41, 31, **options),
        "other_low": flip_flop(200, 2000, **options),
    }


@pytest.mark.parametrize("change", [{"enable": 9}, {"clock": 9}])
def test_one_clock_and_enable_for_all(tmp_path, change):
    """Those of most registers."""
    given = whole() | second(**change) | {"other_low": None}
    given = {name: made for name, made in given.items() if made is not None}
    cells, count = absorbed(tmp_path, given, [BEHIND, BEHIND + 1, 200])
    assert count == 2 and sorted(cells) == ["block", "other", "other_left", "other_right"]
    assert registers(cells["other"]) == set()
    # All have it alike, with registers or without.
    assert cells["other"]["parameters"] == {"GSR": "DISABLED"}
    cells, count = absorbed(tmp_path, whole(left=None) | second(**change), [BEHIND, 2000])
    assert count == 2 and registers(cells["block"]) == set()


def test_shared_flip_flop_in_front(tmp_path):
    """Each block has its copy."""
    given = whole() | second() | {"other": multiplier(LEFT, 31, 200)}
    del given["other_left"]
    cells, count = absorbed(tmp_path, given, [BEHIND, BEHIND + 1, 2000])
    assert count == 4 and sorted(cells) == ["block", "other"]
    assert ports(cells["block"], "A0") == ports(cells["other"], "A0") == [20]


def test_flip_flop_between_two_blocks(tmp_path):
    """It is in one of them only."""
    given = whole(high=None) | second() | {"other": multiplier(BEHIND, 31, 200)}
    del given["other_left"]
    cells, count = absorbed(tmp_path, given, [2000])
    assert count == 3 and sorted(cells) == ["block", "other"]
    assert registers(cells["block"]) == {"INPUTA", "INPUTB"}
    assert registers(cells["other"]) == {"INPUTA", "INPUTB", "OUTPUT"}
    assert ports(cells["block"], "P0") == ports(cells["other"], "A0") == [FRONT]


@pytest.mark.parametrize("port", [{"SIGNEDA": 9}, {"SIGNEDB": 9}, {"SOURCEA": 9}, {"SOURCEB": "1"}])
def test_what_yosys_does_not_make(tmp_path, port):
    given = whole()
    given["block"]["connections"] |= {name: [net] for name, net in port.items()}
    assert absorbed(tmp_path, given) == (given, 0)


def test_without_multipliers(tmp_path):
    given = {"cell": flip_flop(20, 21)}
    assert absorbed(tmp_path, given) == (given, 0)


def test_a_registered_multiplier_is_a_block(part, own_cache, monkeypatch):
    if part is not PARTS["ecp5-25f"]:
        pytest.skip("has no blocks of ECP5")

    kinds = "flip_flops", "dsp"
    assert packed_cells(REGISTERED, part, kinds) == {"flip_flops": 0, "dsp": 1}
    monkeypatch.setitem(PASSES, "ecp5", ())
    assert packed_cells(REGISTERED, part, kinds) == {"flip_flops": 18 + 16 + 34, "dsp": 1}
