"""Puts LUTs of iCE40 adders where nextpnr finds them beside their carries.

A logic cell has a LUT and a carry. They share two inputs, I1 and I2 of the LUT, and the carry that
comes in may be the LUT's I3. Yosys keeps the order of these inputs but at the ends of an adder: in
its lowest bit, where the carry that comes in is a constant, and in its highest one, which has no
carry of its own, the LUT is any that ABC makes, with its inputs in any order. In a wrong order, it
and the carry take a logic cell each.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path

__all__ = ["align_carries"]

_INPUTS = ("I0", "I1", "I2", "I3")


def align_carries(path: Path) -> int:
    """Reorder inputs of LUTs in a netlist of iCE40's cells, Yosys's JSON, in place.

    Returns
    -------
    int
        How many LUTs were changed.
    """
    netlist = json.loads(path.read_text())
    changed = sum(_align(module["cells"]) for module in netlist["modules"].values())
    path.write_text(json.dumps(netlist))
    return changed


def _align(cells: dict[str, dict]) -> int:
    luts = [cell for cell in cells.values() if cell["type"] == "SB_LUT4"]
    carries = [cell for cell in cells.values() if cell["type"] == "SB_CARRY"]
    # Each carry takes one LUT that fits, which then stays as it is; others may be changed. Where a
    # constant is carried in, I3 may be anything.
    missing: Counter[tuple] = Counter()
    for carry in carries:
        left, right, carried = _nets(carry, ("I0", "I1", "CI"))
        missing[left, right, None if isinstance(carried, str) else carried] += 1
    carried_out = {carry["connections"]["CO"][0] for carry in carries}
    unused, free = set(carried_out), defaultdict(list)
    for lut in luts:
        left, right, carried = _nets(lut, ("I1", "I2", "I3"))
        unused.discard(carried)
        own = (left, right, carried if carried in carried_out else None)
        if missing[own]:
            missing[own] -= 1
        elif own[2] is None:
            for net in set(_nets(lut, _INPUTS)):
                free[net].append(lut)

    changed = 0
    for left, right, carried in missing.elements():
        if carried is None and left != right:
            changed += _reorder(free, {1: left, 2: right})
    for carried in sorted(unused):
        changed += _reorder(free, {3: carried})
    return changed


def _nets(cell: dict, ports: tuple[str, ...]) -> tuple:
    """Nets at a cell's ports: numbers, or texts for constants."""
    return tuple(cell["connections"][port][0] for port in ports)


def _reorder(free: dict[int, list[dict]], wanted: dict[int, int]) -> bool:
    """Take a free LUT that has these nets and put them at these inputs; whether there is one."""
    if any(isinstance(net, str) for net in wanted.values()):
        return False
    nets = list(wanted.values())
    lut = next((lut for lut in free[nets[0]] if set(nets) <= set(_nets(lut, _INPUTS))), None)
    if lut is None:
        return False
    before = _nets(lut, _INPUTS)
    source = {port: before.index(net) for port, net in wanted.items()}
    # Constants come last: at I3 where the carry that comes in is one.
    others = sorted(set(range(4)) - set(source.values()), key=lambda i: isinstance(before[i], str))
    for port in sorted(set(range(4)) - set(wanted)):
        source[port] = others.pop(0)
    table = lut["parameters"]["LUT_INIT"][::-1]
    lut["parameters"]["LUT_INIT"] = "".join(
        table[sum((n >> port & 1) << old for port, old in source.items())] for n in range(16)
    )[::-1]
    for port, old in source.items():
        lut["connections"][_INPUTS[port]] = [before[old]]
    for net in set(before):
        free[net].remove(lut)
    return True
