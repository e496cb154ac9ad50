"""Emit a repeated block once.

Amaranth writes every instance of a component anew, which makes megabytes of Verilog out of an
array. A `SharedModule` is, in a simulation of Amaranth's own, the component; in emitted Verilog it
is an instance of a module that is emitted once.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from amaranth.hdl import ClockSignal, Elaboratable, Instance, ResetSignal, Value
from amaranth.lib import wiring

__all__ = ["SharedModule", "collect_modules"]


@dataclass(frozen=True)
class _Collection:
    prefix: str
    modules: dict[str, wiring.Component] = field(default_factory=dict)


_collection: ContextVar[_Collection | None] = ContextVar("collection", default=None)


@contextmanager
def collect_modules(prefix: str = ""):
    """While this is active, shared modules become instances.

    Parameters
    ----------
    prefix : str
        What the names of the modules begin with.

    Yields
    ------
    dict of str to Component
        Every module that must be emitted besides the top, by name.
    """
    collection = _Collection(prefix)
    token = _collection.set(collection)
    try:
        yield collection.modules
    finally:
        _collection.reset(token)


class SharedModule(Elaboratable):
    """One use of a component that is used many times. Made while its parent is elaborated.

    Parameters
    ----------
    name : str
        Module name in Verilog, behind the prefix; the same name must mean the same hardware.
    component : type
        A `Component` class. One with a method ``verilog(name)`` writes its own text; one with an
        attribute ``cells`` is emitted with that, the same hardware of a vendor's cells.
    *parameters
        Its parameters.
    clocked : bool
        Whether it has registers.

    Attributes
    ----------
    ports
        Object with the component's members.
    """

    def __init__(
        self, name: str, component: type[wiring.Component], *parameters, clocked: bool = True
    ):
        self.name, self.clocked = name, clocked
        collection = _collection.get()
        if collection is None:
            self.component = self.ports = component(*parameters)
        else:
            self.name = collection.prefix + name
            if self.name not in collection.modules:
                collection.modules[self.name] = component(*parameters)
            self.component = None
            self.ports = collection.modules[self.name].signature.create(path=(name,))

    def elaborate(self, platform):
        if self.component is not None:
            return self.component
        ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()} if self.clocked else {}
        for path, member, value in self.ports.signature.flatten(self.ports):
            direction = "i" if member.flow is wiring.In else "o"
            ports[f"{direction}_{'__'.join(map(str, path))}"] = Value.cast(value)
        return Instance(self.name, **ports)
