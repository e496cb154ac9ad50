"""Puts a block between registers, so that it needs three pins.

Engines and blocks have more ports than packages have pins, and paths to pins say nothing of the
clock rate inside::

    serial_in ─► shift register ─► registers ─► block ─► registers ─► XOR tree ─► serial_out

Made of the family's own cells around the netlist of the block alone, after synthesis: so nothing
of the block can be optimised away, and its cells are the same with and without the harness.
"""

from dataclasses import dataclass

__all__ = ["CLOCK", "HARNESS", "wrap"]

HARNESS = "harness"
CLOCK = "clk"
_XOR4 = f"{0x6996:016b}"


@dataclass(frozen=True)
class _Cells:
    """How a family calls a flip-flop and a look-up table; all of its ports, parameters."""

    flip_flop: str
    flip_flop_parameters: dict[str, str]
    data: str
    clock: str
    state: str
    lut: str
    lut_content: str
    lut_inputs: tuple[str, str, str, str]
    lut_output: str


_CELLS = {
    "ice40": _Cells(
        "SB_DFF", {}, "D", "C", "Q", "SB_LUT4", "LUT_INIT", ("I0", "I1", "I2", "I3"), "O"
    ),
    "ecp5": _Cells(
        "TRELLIS_FF",
        # Yosys adds a space to texts that look like bits.
        {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"},
        "DI",
        "CLK",
        "Q",
        "LUT4",
        "INIT",
        ("A", "B", "C", "D"),
        "Z",
    ),
}


class _Netlist:
    """A module in Yosys's JSON that is being made. A net is a number."""

    def __init__(self, cells: _Cells) -> None:
        self._cells = cells
        self._nets = 2  # 0 and 1 are constants.
        self.clock = self.net()
        self.content: dict[str, dict] = {}

    def net(self) -> int:
        self._nets += 1
        return self._nets

    def add(self, kind: str, inputs: dict[str, list], outputs: dict[str, list], **parameters: str):
        """Add a cell."""
        self.content[f"cell_{len(self.content)}"] = {
            "hide_name": 0,
            "type": kind,
            "parameters": parameters,
            "attributes": {},
            "port_directions": {
                **dict.fromkeys(inputs, "input"),
                **dict.fromkeys(outputs, "output"),
            },
            "connections": {**inputs, **outputs},
        }

    def register(self, data: int) -> int:
        """Add a flip-flop; return its output."""
        c, state = self._cells, self.net()
        self.add(
            c.flip_flop,
            {c.data: [data], c.clock: [self.clock]},
            {c.state: [state]},
            **c.flip_flop_parameters,
        )
        return state

    def exclusive_or(self, nets: list[int]) -> int:
        """Add a look-up table of up to four inputs; return its output."""
        c, result = self._cells, self.net()
        inputs = [*nets, "0", "0", "0"][:4]
        self.add(
            c.lut,
            {port: [net] for port, net in zip(c.lut_inputs, inputs, strict=True)},
            {c.lut_output: [result]},
            **{c.lut_content: _XOR4},
        )
        return result


def wrap(netlist: dict, module: str, family: str) -> dict:
    """Return a netlist whose top `HARNESS` has a block and pins for nothing but a clock and a bit
    in and out.

    Parameters
    ----------
    netlist : dict
        Yosys's JSON, with the block's module.
    module : str
        Name of that module. Its port `CLOCK`, if it has one, is the clock.
    family : str
        "ice40" or "ecp5".
    """
    made = _Netlist(_CELLS[family])
    serial_in = shifted = made.net()
    inputs, outputs = {}, {}
    for name, port in netlist["modules"][module]["ports"].items():
        if name == CLOCK:
            inputs[name] = [made.clock]
        elif port["direction"] == "input":
            # Registers of their own: those of the shift register are between their neighbours.
            shift = [shifted := made.register(shifted) for _ in port["bits"]]
            inputs[name] = [made.register(bit) for bit in shift]
        else:
            outputs[name] = [made.net() for _ in port["bits"]]
    made.add(module, inputs, outputs)
    # The end of the shift register counts as an output, for blocks that have none.
    level = [shifted, *(made.register(bit) for bits in outputs.values() for bit in bits)]
    while len(level) > 1:
        groups = [level[i : i + 4] for i in range(0, len(level), 4)]
        level = [made.register(made.exclusive_or(group)) for group in groups]
    ports = {
        CLOCK: {"direction": "input", "bits": [made.clock]},
        "serial_in": {"direction": "input", "bits": [serial_in]},
        "serial_out": {"direction": "output", "bits": level},
    }
    top = {
        "attributes": {"top": "1".zfill(32)},
        "ports": ports,
        "cells": made.content,
        "netnames": {
            name: {"hide_name": 0, "bits": port["bits"], "attributes": {}}
            for name, port in ports.items()
        },
    }
    block = dict(netlist["modules"][module])
    block["attributes"] = {k: v for k, v in block["attributes"].items() if k != "top"}
    return {**netlist, "modules": {**netlist["modules"], module: block, HARNESS: top}}
