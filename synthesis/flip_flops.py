"""Flip-flops in a netlist of ECP5's cells, and what they are connected to."""

from collections import defaultdict

__all__ = ["FLIP_FLOP", "ZERO", "Controls", "Nets", "common_controls"]

FLIP_FLOP = "TRELLIS_FF"
ZERO = ("0", "x")
"""Registers are 0 at first, and so is what they hold of these."""

_Net = int | str
Controls = tuple[_Net, _Net]
"""Clock and enable."""


class Nets:
    """Names of the flip-flops that drive nets, and cells and ports that take them."""

    def __init__(self, module: dict) -> None:
        self.flip_flops: dict[_Net, str] = {}
        self.users: dict[_Net, list[tuple[str, str]]] = defaultdict(list)
        for name, cell in module["cells"].items():
            if cell["type"] == FLIP_FLOP:
                self.flip_flops[cell["connections"]["Q"][0]] = name
            for port, nets in cell["connections"].items():
                if cell["port_directions"][port] != "output":
                    for net in nets:
                        self.users[net].append((name, port))
        for port in module["ports"].values():
            for net in port["bits"]:
                self.users[net].append(("", ""))


def common_controls(names: list[str], cells: dict[str, dict]) -> Controls | None:
    """Clock and enable of flip-flops; None where they are not the same or not a block's."""
    controls = {_controls(cells[name]) for name in names}
    return controls.pop() if len(controls) == 1 else None


def _controls(flip_flop: dict) -> Controls | None:
    ports, parameters = flip_flop["connections"], flip_flop["parameters"]
    plain = {"CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET", "GSR": "DISABLED"}
    if any(parameters.get(name) != value for name, value in plain.items()):
        return None
    if ports["LSR"][0] not in ZERO:
        return None
    # Yosys puts a space behind texts that look like numbers.
    enable = {"CE": ports.get("CE", "0")[0], "1": "1"}.get(parameters["CEMUX"].strip())
    return None if enable in (None, *ZERO) else (ports["CLK"][0], enable)
