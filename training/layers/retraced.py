"""Gives a module another forward, and keeps all else of it."""

import importlib
import math
import types
from functools import cache
from typing import Any

from torch import fx

from hiddenite.training.layers.alterations import GIVEN_FORWARD

_NUMBERS = {"inf": math.inf, "nan": math.nan}
"""What a forward calls numbers that Python has no name for."""


def give_forward(module, graph):
    """Give a module the forward of a graph, whose names are those of the module's attributes.

    The module becomes one of a class that is derived from its own: its attributes and its other
    methods stay, and it can be copied and pickled.
    """
    if isinstance(module, fx.GraphModule):
        module.graph = graph
        return
    code = graph.python_code("self")
    names = tuple(
        _reference(name, value) for name, value in code.globals.items() if name not in _NUMBERS
    )
    base: Any = type(module)  # types are hashable, which mypy does not see
    module.__class__ = _derived(base, code.src, names)


def _reference(name, value):
    """Return a name in a forward's code, and what it is there so that it can be pickled."""
    is_module = isinstance(value, types.ModuleType)
    return name, is_module, value.__name__ if is_module else value


@cache
def _derived(base, source, names):
    """Return a class with another forward.

    Parameters
    ----------
    base : type
        What it is derived from.
    source : str
        Code that defines `forward`.
    names : tuple of (str, bool, object)
        What the code refers to: a name, whether it is a Python module, and that one's name or what
        it is.
    """
    space = _NUMBERS | {
        name: importlib.import_module(value) if is_module else value
        for name, is_module, value in names
    }
    exec(source, space)

    def reduce(self, protocol):
        return _empty, (base, source, names), self.__getstate__()

    body = {
        "forward": space["forward"],
        "__reduce_ex__": reduce,
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        GIVEN_FORWARD: True,
    }
    return types.new_class(base.__name__, (base,), exec_body=lambda space: space.update(body))


def _empty(base, source, names):
    """Return a module of a derived class before it has its attributes."""
    derived = _derived(base, source, names)
    return derived.__new__(derived)
