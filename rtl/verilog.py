"""Verilog of an engine."""

import re

from amaranth.hdl import Fragment

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError

from .configuration import Configuration
from .emission import emit
from .engine import Engine
from .primitives.shared_module import collect_modules

__all__ = ["SYNTHESIS", "TOP", "check_name", "convert", "generate"]

TOP = "hiddenite"
"""Name of the top module, unless another is chosen."""
SYNTHESIS = "SYNTHESIS"
"""Macro that synthesis tools define. With it, what can be made of a vendor's cells is; without it,
the same bits are additions, which every simulator knows."""

_WAIVERS = {
    "DECLFILENAME": "One file holds every module.",
    "TIMESCALEMOD": "Nothing here has a delay, so no module needs a timescale.",
    "WIDTH": "Amaranth's operands have the widths that they need; Verilog extends and cuts them.",
    "CASEOVERLAP": "What selects is one-hot.",
    "UNUSEDSIGNAL": "Bits that are cut off, and members of structures that have other names, too.",
}
"""What Verilator may say of the text, by its oldest name for it, and why that is right."""


def check_name(name: str) -> str:
    """Return a name for a top module; raises `InputError` if Verilog does not take it."""
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise InputError(
            "name must be letters, digits and underscores, beginning with a letter,"
            f" not {one_line(name)}"
        )
    return name


def generate(configuration: Configuration, name: str = TOP) -> str:
    """Verilog text of an engine and of all that it is made of.

    Ports are those of `Engine`, with ``__`` between the levels, ``clk`` and ``rst`` (synchronous,
    active high; it must be high for one cycle before the first program). Nothing depends on the
    initial values of registers. Vendors' cells are in it where `SYNTHESIS` is defined.

    Parameters
    ----------
    configuration : Configuration
    name : str
        Name of the top module; those of all other modules begin with it.

    Raises
    ------
    InputError
        The name is none that Verilog takes as it is.
    """
    check_name(name)
    with collect_modules(f"{name}_") as modules:
        texts = [convert(Engine(configuration), name)]
        # Shared modules may use others: new ones come at the end.
        done = 0
        while done < len(modules):
            module = list(modules)[done]
            texts.append(convert(modules[module], module))
            done += 1
    lines = ["/* verilator lint_save */"]
    for rule, why in _WAIVERS.items():
        lines += [f"// {why}", f"/* verilator lint_off {rule} */"]
    return "\n".join([*lines, "", *reversed(texts), "/* verilator lint_restore */", ""])


def convert(component, name: str) -> str:
    """Verilog text of a component and what is in it, without the modules that it shares."""
    if hasattr(component, "verilog"):
        # Amaranth warns of components that it has never been asked to elaborate.
        Fragment.get(component, None)
        return component.verilog(name)
    text = emit(component, name)
    if (cells := getattr(component, "cells", None)) is not None:
        text = f"`ifdef {SYNTHESIS}\n{emit(cells, name)}`else\n{text}`endif\n"
    return text
