import pytest
from netlist_cells import CLOCK, DIFFERENCES, cell, changed, flip_flop, packed_cells

from hiddenite.synthesis.netlist_passes import PASSES
from hiddenite.synthesis.parts import PARTS
from hiddenite.synthesis.ram_registers import absorb_ram_registers

# Nets that are read, those behind flip-flops, and others.
READ, BEHIND, OTHER = 100, 1000, 5000
OUTPUTS = [f"DO{port}{bit}" for port in "AB" for bit in range(18)]
REGISTERED = """\
module registered (
  input clk, input write, input [10:0] write_address, input [8:0] write_data,
  input [10:0] read_address, output reg [8:0] read_data
);
  (* no_rw_check *) reg [8:0] words [0:2047];
  reg [8:0] word;
  initial read_data = 0;
  always @(posedge clk) begin
    if (write) words[write_address] <= write_data;
    word <= words[read_address];
    read_data <= word;
  end
endmodule
"""


def memory(mode="NOREG", clock_mux="CLKB", **ports):
    """Block of which two bits are read at port B."""
    nets = {port: READ + number for number, port in enumerate(OUTPUTS)}
    nets |= {"DOB0": 10, "DOB1": 11, "CLKB": CLOCK, "OCEB": "0", "RSTB": "0"}
    parameters = {"REGMODE_A": "NOREG", "REGMODE_B": mode, "CLKBMUX": clock_mux}
    return cell("DP16KD", OUTPUTS, parameters, **(nets | ports))


def whole(**changes):
    """A block with flip-flops behind it; changes are other cells, or None."""
    cells = {
        "block": memory(),
        "low": flip_flop(10, BEHIND),
        "high": flip_flop(11, BEHIND + 1),
    }
    return {name: made for name, made in (cells | changes).items() if made is not None}


def absorbed(tmp_path, cells, ports=(BEHIND, BEHIND + 1)):
    """Cells afterwards, and how many blocks use their registers."""
    return changed(tmp_path / "netlist.json", absorb_ram_registers, cells, ports)


def test_flip_flops_move_into_the_block(tmp_path):
    cells, count = absorbed(tmp_path, whole())
    assert count == 1 and list(cells) == ["block"]
    block = cells["block"]
    assert block["parameters"]["REGMODE_B"] == "OUTREG"
    assert block["parameters"]["REGMODE_A"] == "NOREG"
    nets = [block["connections"][port] for port in ("DOB0", "DOB1", "DOB2", "OCEB")]
    assert nets == [[BEHIND], [BEHIND + 1], [READ + 20], ["1"]]


def test_second_time_changes_nothing(tmp_path):
    # One more register behind stays where it is.
    once, count = absorbed(tmp_path, whole(next=flip_flop(BEHIND, OTHER)), [BEHIND + 1, OTHER])
    assert count == 1 and sorted(once) == ["block", "next"]
    assert absorbed(tmp_path, once, [BEHIND + 1, OTHER]) == (once, 0)


@pytest.mark.parametrize("change", DIFFERENCES)
def test_flip_flops_that_differ(tmp_path, change):
    given = whole(low=flip_flop(10, BEHIND, **change))
    assert absorbed(tmp_path, given) == (given, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"RSTB": 9},
        {"clock_mux": "INV"},
        {"mode": "OUTREG"},
        {"CLKB": 9},
    ],
)
def test_blocks_that_differ(tmp_path, change):
    given = whole(block=memory(**change))
    assert absorbed(tmp_path, given) == (given, 0)


def test_what_both_ports_read_stays(tmp_path):
    given = whole(other=flip_flop(READ, OTHER))
    assert absorbed(tmp_path, given, [BEHIND, BEHIND + 1, OTHER]) == (given, 0)


@pytest.mark.parametrize("taker", ["port", "flip-flop", "logic"])
def test_words_that_something_else_takes(tmp_path, taker):
    others = {
        "flip-flop": flip_flop(10, OTHER),
        "logic": cell("LUT4", "Z", A=10, Z=OTHER),
    }
    given = whole(other=others.get(taker))
    outputs = [BEHIND, BEHIND + 1, 10 if taker == "port" else OTHER]
    assert absorbed(tmp_path, given, outputs) == (given, 0)


def test_nothing_is_read(tmp_path):
    given = {"block": memory()}
    assert absorbed(tmp_path, given) == (given, 0)


def test_a_registered_memory_is_a_block(part, own_cache, monkeypatch):
    if part is not PARTS["ecp5-25f"]:
        pytest.skip("has no blocks of ECP5")

    kinds = "flip_flops", "block_ram"
    assert packed_cells(REGISTERED, part, kinds) == {"flip_flops": 0, "block_ram": 1}
    monkeypatch.setitem(PASSES, "ecp5", ())
    assert packed_cells(REGISTERED, part, kinds) == {"flip_flops": 9, "block_ram": 1}
