"""Netlists against what they were made from, in simulators."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.hdl import Fragment

from hiddenite.benchmarks.networks import deep_network
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.primitives.memory import RandomAccessMemory
from hiddenite.sim.verify import verify
from hiddenite.synthesis import toolchain
from hiddenite.synthesis.netlist import cell_models, engine_netlist, simulation_netlist
from hiddenite.synthesis.synthesize import synthesize

# DSP blocks that multiply, add and shift, as on an iCE40 UP5K.
SMALL = Configuration(
    ich=2,
    och=2,
    activation_words=64,
    tile_words=32,
    accumulator_bits=14,
    bias_bits=20,
    shifter="multipliers",
    timeout_cycles=0,
)
# Registers before and behind multipliers.
LONG = replace(SMALL, accumulator_bits=20, bias_bits=24, shifter="multiplexers", pipelining=1)
# Its activation memory takes the SPRAM of an iCE40.
FOR_DIGITS = Configuration(
    ich=4, och=4, activation_words=1 << 14, activation_ports=1, tile_words=256
)
CYCLES = 2000


def shared(part):
    """Name of the target that a part has."""
    return {"ice40": "up5k", "ecp5": "ecp5-25f"}[part.family]


def compare(part, text, inputs, outputs, tmp_path, random=None, when="1'b1"):
    """Simulate a module `block` and its netlist side by side with random inputs.

    Outputs are compared after cycles in which `when` is true; bits that either does not know are
    not (models of cells know less: one unknown bit makes a word unknown). Return the netlist and
    how many bits were equal.
    """
    netlist = synthesize(text, "block", part)
    other = simulation_netlist(netlist, part).replace("module block(", "module netlist(", 1)
    given = ", ".join(f".{name}({name})" for name in ("clk", *inputs))
    lines = [f"reg [{bits - 1}:0] {name} = 0;" for name, bits in inputs.items()]
    for name, bits in outputs.items():
        lines.append(f"wire [{bits - 1}:0] a_{name}, b_{name};")
    drive = "\n".join(
        f"{name} <= {(random or {}).get(name, '{$random, $random, $random}')};" for name in inputs
    )
    check = "\n".join(
        f"for (i = 0; i < {bits}; i = i + 1) if (a_{name}[i] !== 1'bx && b_{name}[i] !== 1'bx) "
        f"begin\n  if (a_{name}[i] === b_{name}[i]) same = same + 1; else wrong = wrong + 1;\nend"
        for name, bits in outputs.items()
    )
    sides = [
        f"{module} side_{side} ({given}, "
        + ", ".join(f".{name}({side}_{name})" for name in outputs)
        + ");"
        for module, side in (("block", "a"), ("netlist", "b"))
    ]
    nl = "\n"
    bench = f"""
module bench;
reg clk = 0, compared = 0;
integer i, n, same = 0, wrong = 0;
{nl.join(lines)}
{nl.join(sides)}
initial begin
  for (n = 0; n < {CYCLES}; n = n + 1) begin
    #4 if (compared) begin
{check}
    end
    #1 clk = 1;
    compared = {when};
    #1 begin
{drive}
    end
    #4 clk = 0;
  end
  $display("same %0d wrong %0d", same, wrong);
end
endmodule
"""
    source, program = tmp_path / "bench.v", tmp_path / "bench.vvp"
    source.write_text(text + other + bench)
    command = ["iverilog", "-g2012", "-s", "bench", "-o", program, source]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run(["vvp", "-n", program], check=True, capture_output=True, text=True)
    same, wrong = map(int, re.search(r"same (\d+) wrong (\d+)", done.stdout).groups())
    assert wrong == 0, done.stdout
    return netlist, same


@pytest.mark.parametrize(
    ("width", "depth", "granularity", "ports"),
    [
        (4, 2048, 4, 2),
        (9, 1024, 9, 2),
        (16, 512, 16, 2),
        (36, 512, 36, 2),
        (72, 256, 8, 2),
        (5, 16, 5, 2),
        (32, 1 << 14, 4, 1),
    ],
)
def test_memories(part, tmp_path, icarus_only, width, depth, granularity, ports):
    memory = RandomAccessMemory(width, depth, granularity, ports)
    Fragment.get(memory, None)  # Amaranth warns of components that are never elaborated.
    bits = (depth - 1).bit_length()
    inputs = {
        "write": width // granularity, "write_address": bits, "write_data": width,
        "read_address": bits,
    }  # fmt: skip
    # Few addresses, so that what has been written is read, in the same cycle, too.
    address = f"$random & {bits}'h{(depth - 1) & ~(depth // 2 - 1) | 5:x}"
    random = {"write_address": address, "read_address": address}
    when = "1'b1"
    if ports == 1:
        # What is read while something is written nobody may use: Yosys (0.70) keeps it in those
        # blocks of a wide memory alone that are written.
        random["write"], when = "$random & {32{n[0]}}", "!(|write)"
    text = memory.verilog("block").replace("  input rst,\n", "")
    text = text.replace("  wire unused = rst;\n", "")
    netlist, same = compare(part, text, inputs, {"read_data": width}, tmp_path, random, when)
    assert same > CYCLES * width // 4
    kinds = ("block_ram", "single_port_ram", "distributed_ram")
    assert sum(netlist.count(kind) for kind in kinds) > 0 or depth == 16


@pytest.mark.parametrize(("width", "depth"), [(9, 2048), (18, 1024), (2, 4096), (36, 512)])
@pytest.mark.parametrize("reset", [False, True])
def test_memories_with_registers(part, tmp_path, icarus_only, width, depth, reset):
    """A register behind is the block's own where it has one that can do what is asked."""
    bits = (depth - 1).bit_length()
    held = "if (reset) read_data <= 0; else read_data <= word;" if reset else "read_data <= word;"
    text = f"""\
module block(
  input clk, input reset, input write, input [{bits - 1}:0] write_address,
  input [{width - 1}:0] write_data, input [{bits - 1}:0] read_address,
  output reg [{width - 1}:0] read_data
);
  (* no_rw_check *) reg [{width - 1}:0] words [0:{depth - 1}];
  reg [{width - 1}:0] word;
  initial read_data = 0;
  always @(posedge clk) begin
    if (write) words[write_address] <= write_data;
    word <= words[read_address];
    {held}
  end
endmodule
"""
    inputs = {
        "reset": 1, "write": 1, "write_address": bits, "write_data": width, "read_address": bits,
    }  # fmt: skip
    # Few addresses, so that what has been written is read, but never while it is written.
    few = f"$random & {bits}'h{(depth - 1) & ~(depth // 2 - 1) | 4:x}"
    random = {"write_address": few, "read_address": f"({few}) | (~n & 1)"}
    random["write"] = "~n[0]"
    netlist, same = compare(part, text, inputs, {"read_data": width}, tmp_path, random)
    assert same > CYCLES * width // 4
    if part.family == "ecp5":
        assert netlist.count("flip_flops") == (width if reset or width == 36 else 0)


@pytest.mark.parametrize("signed", ["", "signed"])
@pytest.mark.parametrize("stages", ["p", "ab", "abp"])
@pytest.mark.parametrize("enable", ["", "if (enable) "])
def test_multipliers(part, tmp_path, icarus_only, signed, stages, enable):
    """With registers of factors, of the product, or both."""
    left, right = ("held_a", "held_b") if "a" in stages else ("a", "b")
    product = f"posedge clk) {enable}" if "p" in stages else "*) "
    text = f"""\
module block(
  input clk, input enable, input {signed} [15:0] a, input {signed} [14:0] b,
  output reg {signed} [30:0] p
);
  reg {signed} [15:0] held_a;
  reg {signed} [14:0] held_b;
  always @(posedge clk) {enable}begin
    held_a <= a;
    held_b <= b;
  end
  always @({product}p {"<=" if "p" in stages else "="} {left} * {right};
endmodule
"""
    netlist, same = compare(part, text, {"enable": 1, "a": 16, "b": 15}, {"p": 31}, tmp_path)
    assert netlist.count("dsp") == 1 and same >= (CYCLES - 20) * 31
    if part.family == "ecp5":
        assert netlist.count("flip_flops") == 0


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize(
    "registers", [("INPUTA", "INPUTB"), ("OUTPUT",), ("INPUTA", "INPUTB", "OUTPUT")]
)
def test_registers_of_a_multiplier(tmp_path, icarus_only, registers, signed):
    """The block with registers against the one without that stands between registers."""

    def block(name, registers, left, right, product):
        ports = [f".A{i}({left}[{i}]), .B{i}({right}[{i}])" for i in range(18)]
        ports += [f".P{i}({product}[{i}])" for i in range(36)]
        ports += [f".SIGNED{factor}(1'b{signed}), .SOURCE{factor}(1'b0)" for factor in "AB"]
        ports += [".CLK0(clk), .CE0(enable), .RST0(1'b0)"]
        parameters = ", ".join(f'.REG_{register}_CLK("CLK0")' for register in registers)
        parameters = parameters and f"#({parameters})"
        return f"MULT18X18D {parameters} {name} ({', '.join(ports)});"

    left, right = ("held_a", "held_b") if "INPUTA" in registers else ("a", "b")
    bench = f"""
module bench;
  reg clk = 0, enable = 0;
  reg [17:0] a = 0, b = 0, held_a = 0, held_b = 0;
  reg [35:0] held_p = 0;
  wire [35:0] p, q;
  wire [35:0] wanted = {"held_p" if "OUTPUT" in registers else "q"};
  {block("registered", registers, "a", "b", "p")}
  {block("plain", (), left, right, "q")}
  always @(posedge clk) if (enable) begin
    held_a <= a;
    held_b <= b;
    held_p <= q;
  end
  integer n, wrong = 0;
  initial begin
    for (n = 0; n < {CYCLES}; n = n + 1) begin
      #1 clk = 1;
      #1 wrong = wrong + (p !== wanted);
      {{enable, a, b}} = {{$random, $random}};
      clk = 0;
      #1 wrong = wrong + (p !== wanted);
    end
    $display("wrong %0d of %0d", wrong, n);
  end
endmodule
"""
    model = Path(__file__).parents[2] / "synthesis" / "cells" / "MULT18X18D.v"
    source, program = tmp_path / "bench.v", tmp_path / "bench.vvp"
    source.write_text(model.read_text() + bench)
    subprocess.run(["iverilog", "-g2012", "-s", "bench", "-o", program, source], check=True)
    done = subprocess.run(["vvp", "-n", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == f"wrong 0 of {CYCLES}"


def test_look_up_tables_equal_those_of_yosys(tmp_path, icarus_only):
    for own, file, ports in (
        ("LUT4", "ecp5/common_sim.vh", "ABCD"),
        ("SB_LUT4", "ice40/cells_sim.v", ["I0", "I1", "I2", "I3"]),
    ):
        text = (toolchain.yosys_share() / file).read_text()
        text = re.search(rf"^module {own}\b.*?^endmodule", text, re.M | re.S)[0]
        theirs = re.sub(r" `ICE40_DEFAULT\w+|\bspecify\b.*?\bendspecify\b", "", text, flags=re.S)
        theirs = theirs.replace(own, "theirs", 1) + "\n"
        parameter = "INIT" if own == "LUT4" else "LUT_INIT"
        output = "Z" if own == "LUT4" else "O"
        given = ", ".join(f".{port}(n[{i}])" for i, port in enumerate(ports))
        cells = "".join(
            f"  {module} #(.{parameter}(16'h8a35)) {wire}_cell ({given}, .{output}({wire}));\n"
            for module, wire in ((own, "x"), ("theirs", "y"))
        )
        models = Path(__file__).parents[2] / "synthesis" / "cells" / f"{own}.v"
        bench = (
            f"module bench;\n  reg [4:0] n;\n  wire x, y;\n{cells}"
            "  initial for (n = 0; n < 16; n = n + 1) #1 $display(x === y && x !== 1'bx);\n"
            "endmodule\n"
        )
        source = tmp_path / f"{own}.v"
        source.write_text(models.read_text() + theirs + bench)
        program = tmp_path / f"{own}.vvp"
        command = ["iverilog", "-g2012", "-DVERILATOR", "-s", "bench", "-o", program, source]
        subprocess.run(command, check=True)
        done = subprocess.run(["vvp", "-n", program], check=True, capture_output=True, text=True)
        assert done.stdout.split() == ["1"] * 16


def test_cell_without_a_model(part):
    with pytest.raises(RuntimeError, match=r"^cell SB_NOTHING has no model to simulate$"):
        cell_models({"SB_NOTHING": 1}, part)


def test_engine_of_cells(part, request):
    if part.family == "ecp5" and not request.config.option.exhaustive:
        pytest.skip("with --exhaustive only: an engine with registers is of the same cells")
    network, images = deep_network(layers=2, channels=4, size=3)
    found = verify(network, images, SMALL, verilog=engine_netlist(SMALL, shared(part)))
    assert found.equal, found.difference


def test_engine_of_multipliers_with_registers(part):
    if part.family != "ecp5":
        pytest.skip("its multipliers' registers are not used")
    network, images = deep_network(layers=2, channels=4, size=3)
    verilog = engine_netlist(LONG, shared(part))
    for register in ("INPUTA", "INPUTB", "OUTPUT"):
        assert f'.REG_{register}_CLK("CLK0")' in verilog
    found = verify(network, images, LONG, verilog=verilog)
    assert found.equal, found.difference


def test_digits_on_an_engine_of_cells(part, trained, request):
    if not request.config.option.all_images:
        pytest.skip("a trained network runs on cells with --all-images only: it takes minutes")
    network, images, _ = trained("digits")
    verilog = engine_netlist(FOR_DIGITS, shared(part))
    found = verify(network, images[:2], FOR_DIGITS, verilog=verilog)
    assert found.equal, found.difference
