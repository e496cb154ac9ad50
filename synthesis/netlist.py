"""A synthesised netlist as Verilog that a simulator takes: the netlist and the cells' models."""

import re
from importlib import resources

from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.verilog import TOP, generate
from hiddenite.synthesis import toolchain
from hiddenite.synthesis.parts import PARTS, Part
from hiddenite.synthesis.synthesize import Netlist, Progress, synthesize

__all__ = ["cell_models", "engine_netlist", "simulation_netlist"]

_MODELS = {
    "ice40": ("ice40/cells_sim.v",),
    "ecp5": ("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh"),
}
# Verilator knows no default values of ports; Yosys connects them all.
_DEFINITIONS = {
    "ice40": """\
`define SB_DFF_INIT initial Q = 0;
`define ICE40_DEFAULT_ASSIGNMENT_V(v)
`define ICE40_DEFAULT_ASSIGNMENT_0
`define ICE40_DEFAULT_ASSIGNMENT_1
""",
    "ecp5": "",
}
_MODULE = re.compile(r"^module\s+(\w+).*?^endmodule", re.M | re.S)
_TIMES = re.compile(r"^\s*specify\b.*?\bendspecify\b", re.M | re.S)


def engine_netlist(
    configuration: Configuration, target: str, progress: Progress | None = None
) -> str:
    """Generate and synthesise an engine; return the netlist as `simulation_netlist` does.

    Parameters
    ----------
    configuration : Configuration
        The engine's sizes.
    target : str
        Name of a part.
    progress : callable, optional
        As `synthesize` takes it.
    """
    part = PARTS[target]
    toolchain.yosys()
    netlist = synthesize(generate(configuration), TOP, part, progress)
    return simulation_netlist(netlist, part)


def simulation_netlist(netlist: Netlist, part: Part) -> str:
    """Return a netlist as Verilog text, with models of all cells that it is made of.

    Its top module has the name and the ports of the module that was synthesised. Registers begin
    as the part's do after configuration. Memories begin with zeros where the family's model says
    nothing else; nothing of an engine depends on it.

    Parameters
    ----------
    netlist : Netlist
        From `synthesize` for this part.
    part : Part
        The part.
    """
    text = netlist.verilog.read_text()
    # A carry that goes nowhere is a constant to Yosys, which simulators do not take at an output.
    return text.replace(".COUT(1'hx)", ".COUT()") + cell_models(netlist.cells, part)


def cell_models(cells: dict[str, int], part: Part) -> str:
    """Return models of types of cells: those of Yosys, and our own of what Yosys has none of.

    Raises
    ------
    InputError
        If Yosys is missing.
    RuntimeError
        If a cell has no model.
    """
    share = toolchain.yosys_share()
    known = {}
    for file in _MODELS[part.family]:
        text = _TIMES.sub("", (share / file).read_text())
        known.update({m[1]: m[0] for m in _MODULE.finditer(text)})
    for own in resources.files(__package__).joinpath("cells").iterdir():
        known[own.name.removesuffix(".v")] = own.read_text()
    taken, waiting = {}, list(cells)
    while waiting:
        name = waiting.pop(0)
        if name not in known:
            raise RuntimeError(f"cell {name} has no model to simulate")
        if name not in taken:
            taken[name] = known[name]
            # Models may be made of others.
            waiting += [word for word in re.findall(r"\w+", known[name]) if word in known]
    return "\n".join(["", _DEFINITIONS[part.family], *taken.values(), ""])
