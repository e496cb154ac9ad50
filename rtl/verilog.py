"""Verilog of an engine."""

from amaranth.back import verilog

from .configuration import Configuration
from .engine import Engine
from .shared_module import collect_modules

__all__ = ["TOP", "generate"]

TOP = "hiddenite"
"""Name of the top module."""


def generate(configuration: Configuration) -> str:
    """Verilog text of an engine and of all that it is made of; its top module is `TOP`.

    Ports are those of `Engine`, with ``__`` between the levels, ``clk`` and ``rst`` (synchronous,
    active high).
    """
    with collect_modules() as modules:
        texts = [_convert(Engine(configuration), TOP)]
        # Shared modules may use others: new ones come at the end.
        done = 0
        while done < len(modules):
            name = list(modules)[done]
            texts.append(_convert(modules[name], name))
            done += 1
    return "\n".join(reversed(texts))


def _convert(component, name: str) -> str:
    return verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
