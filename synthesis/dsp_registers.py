"""Moves flip-flops into the registers of ECP5's multipliers, which Yosys leaves unused.

The ways from flip-flops to a MULT18X18D and back are long. A block takes the flip-flops in front of
it where all bits of both factors come from flip-flops, and those behind it where each bit of the
product goes to a flip-flop and to nothing else.

The rest follows from what nextpnr (0.11) and its database know of the block:

- There are no times for a block that holds only one of its factors.
- The enable of the product's register is always CE0; nothing chooses another. Four blocks share
  the wires CE0 to CE3, and where they need several enables nextpnr numbers them anew. So all
  registers have one clock and one enable, those of most of the flip-flops.
- A reset that is not connected is 1.
- Blocks share the bit that connects them to the global reset; with flip-flops it is off.
"""

import json
from collections import Counter
from pathlib import Path

from hiddenite.synthesis.flip_flops import FLIP_FLOP, ZERO, Controls, Nets, common_controls

__all__ = ["absorb_dsp_registers"]

_BLOCK = "MULT18X18D"
_FACTORS = tuple(f"{factor}{bit}" for factor in "AB" for bit in range(18))
_PRODUCT = tuple(f"P{bit}" for bit in range(36))


def absorb_dsp_registers(path: Path) -> int:
    """Use multipliers' registers in a netlist of ECP5's cells, Yosys's JSON, in place.

    Returns
    -------
    int
        How many registers are used now; those of a block's two factors are one.
    """
    netlist = json.loads(path.read_text())
    absorbed = sum(_absorb(module) for module in netlist["modules"].values())
    path.write_text(json.dumps(netlist))
    return absorbed


def _absorb(module: dict) -> int:
    cells = module["cells"]
    blocks = [cell for cell in cells.values() if cell["type"] == _BLOCK]
    if not all(_is_plain(block) for block in blocks):
        return 0
    nets = Nets(module)
    found = Counter(
        controls
        for block in blocks
        for names in (_in_front(block, nets), _behind(block, nets, cells))
        if (controls := common_controls(names, cells)) is not None
    )
    if not found:
        return 0
    [(controls, _)] = found.most_common(1)

    absorbed, copied = 0, set()
    for block in blocks:
        names = _in_front(block, nets)
        if common_controls(names, cells) == controls:
            ports = block["connections"]
            for port in _FACTORS:
                if ports[port][0] not in ZERO:
                    name = nets.flip_flops[ports[port][0]]
                    ports[port] = list(cells[name]["connections"]["DI"])
            _use(block, ("INPUTA", "INPUTB"), controls)
            absorbed += 1
            copied.update(names)
    nets = Nets(module)
    for name in copied:
        if not nets.users[cells[name]["connections"]["Q"][0]]:
            del cells[name]
    # What was between two blocks is in the second one now.
    nets = Nets(module)
    for block in blocks:
        names = _behind(block, nets, cells)
        if common_controls(names, cells) == controls:
            ports = block["connections"]
            for port in _PRODUCT:
                for name, _ in nets.users[ports[port][0]]:
                    ports[port] = list(cells.pop(name)["connections"]["Q"])
            _use(block, ("OUTPUT",), controls)
            absorbed += 1
    for block in blocks:
        block["parameters"]["GSR"] = "DISABLED"
    return absorbed


def _is_plain(block: dict) -> bool:
    """Whether a block multiplies and does nothing else, as Yosys makes it."""
    ports = block["connections"]
    return (
        all(isinstance(ports[port][0], str) for port in ("SIGNEDA", "SIGNEDB"))
        and all(ports[port][0] in ZERO for port in ("SOURCEA", "SOURCEB"))
        and not any(
            name.startswith("REG_") and value.startswith("CLK")
            for name, value in block["parameters"].items()
        )
    )


def _in_front(block: dict, nets: Nets) -> list[str]:
    """Flip-flops that the factors come from; none where a bit comes from something else."""
    bits = [block["connections"][port][0] for port in _FACTORS]
    bits = [bit for bit in bits if bit not in ZERO]
    if any(bit not in nets.flip_flops for bit in bits):
        return []
    return [nets.flip_flops[bit] for bit in bits]


def _behind(block: dict, nets: Nets, cells: dict[str, dict]) -> list[str]:
    """Flip-flops that the product goes to; none where a bit goes to something else."""
    names = []
    for port in _PRODUCT:
        users = nets.users[block["connections"][port][0]]
        if not users:
            continue
        name, taken = users[0]
        if len(users) > 1 or taken != "DI" or cells[name]["type"] != FLIP_FLOP:
            return []
        names.append(name)
    return names


def _use(block: dict, registers: tuple[str, ...], controls: Controls) -> None:
    for register in registers:
        for control in ("CLK", "CE", "RST"):
            block["parameters"][f"REG_{register}_{control}"] = f"{control}0"
    for port, net in zip(("CLK0", "CE0", "RST0"), (*controls, "0"), strict=True):
        block["connections"][port] = [net]
        block["port_directions"][port] = "input"
