"""Passes over a netlist between Yosys and nextpnr, for each family."""

from pathlib import Path

from hiddenite.synthesis.carries import align_carries
from hiddenite.synthesis.chain_ends import free_chain_ends
from hiddenite.synthesis.dsp_registers import absorb_dsp_registers
from hiddenite.synthesis.ram_registers import absorb_ram_registers

__all__ = ["PASSES", "run_netlist_passes"]

PASSES = {
    "ice40": (align_carries,),
    "ecp5": (free_chain_ends, absorb_dsp_registers, absorb_ram_registers),
}


def run_netlist_passes(path: Path, family: str) -> None:
    """Run the passes of a family over a netlist in Yosys's JSON, in place.

    Parameters
    ----------
    path : Path
        The netlist.
    family : str
        "ice40" or "ecp5".
    """
    for run_pass in PASSES[family]:
        run_pass(path)
