"""Verilog of an engine."""

import re

from amaranth.back import verilog
from amaranth.hdl import Fragment

from .configuration import Configuration
from .engine import Engine
from .shared_module import collect_modules

__all__ = ["SIMULATION", "TOP", "convert", "generate"]

TOP = "hiddenite"
"""Name of the top module."""
SIMULATION = "HIDDENITE_SIMULATION"
"""Macro for simulators: what is made of a vendor's cells is additions instead, the same bits."""


def generate(configuration: Configuration) -> str:
    """Verilog text of an engine and of all that it is made of; its top module is `TOP`.

    Ports are those of `Engine`, with ``__`` between the levels, ``clk`` and ``rst`` (synchronous,
    active high; it must be high for one cycle before the first program). Vendors' cells are in it
    unless `SIMULATION` is defined.
    """
    with collect_modules() as modules:
        texts = [convert(Engine(configuration), TOP)]
        # Shared modules may use others: new ones come at the end.
        done = 0
        while done < len(modules):
            name = list(modules)[done]
            texts.append(convert(modules[name], name))
            done += 1
    return "\n".join(reversed(texts))


def convert(component, name: str) -> str:
    """Verilog text of a component and what is in it, without the modules that it shares."""
    if hasattr(component, "verilog"):
        # Amaranth warns of components that it has never been asked to elaborate.
        Fragment.get(component, None)
        return component.verilog(name)
    text = _text(component, name)
    if (cells := getattr(component, "cells", None)) is not None:
        text = f"`ifdef {SIMULATION}\n{text}`else\n{_text(cells, name)}`endif\n"
    return text


def _text(component, name: str) -> str:
    text = verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
    # Yosys adds a register that is set at time zero, so that simulators run every `always @*` once.
    # SystemVerilog initialises it before they listen, and Icarus then leaves them at x.
    text = re.sub(
        r"^  reg (\S*dump_module\S*)  = 0;$",
        r"  reg \1 ;\n  initial \1 = 0;",
        text,
        flags=re.MULTILINE,
    )
    # Signals of no bits (a bank number where there is one bank) are declared but used nowhere.
    return re.sub(r"^  wire \[-1:0\] .*;\n", "", text, flags=re.MULTILINE)
