"""Engines of different configurations in one design."""

import re

import pytest
from system.cases import faults, small_case

from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.verilog import generate
from hiddenite.sim.simulation import Simulation, Stalls

# Their memories, lanes, arrays and expanders differ, their streams do not.
FIRST, SECOND = PRESETS["up5k"], PRESETS["hx8k"]

PORTS = """
    .clk(clk), .rst(rst),
    .program__payload(program__payload), .image__payload(image__payload)"""
DESIGN = """
module hiddenite(
  input clk, input rst,
  input [8:0] program__payload, input program__valid, output program__ready,
  input [8:0] image__payload, input image__valid, output image__ready,
  output [32:0] result__payload, output result__valid, input result__ready,
  output [1:0] status__state, output [3:0] status__error, output [15:0] status__layer
);
  {used} used({ports},
    .program__valid(program__valid), .program__ready(program__ready),
    .image__valid(image__valid), .image__ready(image__ready),
    .result__payload(result__payload), .result__valid(result__valid),
    .result__ready(result__ready),
    .status__state(status__state), .status__error(status__error), .status__layer(status__layer)
  );
  {unused} unused({ports},
    .program__valid(1'b0), .program__ready(), .image__valid(1'b0), .image__ready(),
    .result__payload(), .result__valid(), .result__ready(1'b0),
    .status__state(), .status__error(), .status__layer()
  );
endmodule
"""


@pytest.fixture(scope="module")
def texts():
    return {"first": generate(FIRST, "first"), "left_second": generate(SECOND, "left_second")}


def test_all_modules_begin_with_the_name(texts):
    for name, text in texts.items():
        # What stands between them are ports, for which the name does not matter.
        modules = re.findall(r"^module \\?(\S+?) ?\(", text, re.M)
        assert len(modules) > 10
        assert all(re.match(rf"{name}($|[._])", module) for module in modules)
        assert "hiddenite" not in text


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_each_runs_beside_the_other(simulator, texts, engines):
    engines.require(simulator)
    # The other way round in the quicker one to build.
    pairs = [(("first", "left_second"), FIRST), (("left_second", "first"), SECOND)]
    for (used, unused), c in pairs[: 1 if simulator == "verilator" else 2]:
        design = DESIGN.format(used=used, unused=unused, ports=PORTS)
        simulation = Simulation(
            "\n".join([*texts.values(), design]),
            word_bits=c.program_bits,
            lanes=c.post_lanes,
            simulator=simulator,
        )
        case = small_case(c)
        runs = [case.run(), case.run(stalls=Stalls(program=0.3, image=0.3, result=0.3, seed=2))]
        assert not faults([case] * 2, simulation.run(runs))
