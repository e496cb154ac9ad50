"""Whole boards in a simulator: the same top, between the same pins, without vendor's cells."""

from amaranth.build import Platform
from amaranth.hdl import Elaboratable, IOPort, Module
from amaranth.lib import io

from hiddenite.rtl.emission import emit

__all__ = ["SimulationPlatform", "board_verilog", "simulated"]


class SimulationPlatform:
    """What makes a simulation of a platform; to be mixed into it.

    Pins are ports of the top module, named by resource: ``uart_0__rx__io``. A pin of both
    directions is three ports, so that a simulator sees who drives it:
    ``spi_flash_4x_0__dq_3__o``, ``__oe`` and ``__i``. Where the board has a clock, a PLL or a
    dedicated pin, the top has a port more (`extra_port`).
    """

    def get_io_buffer(self, buffer: io.Buffer) -> Elaboratable:
        """Buffers as they are without a vendor."""
        if buffer.direction is not io.Direction.Bidir:
            return type(buffer).elaborate(buffer, None)
        # One line of a port, as `Top` takes them.
        lines = buffer.port.io
        name = f"{lines.value.name.removesuffix('__io')}_{lines.start}"
        i, o, oe = (
            io.Buffer(kind[0], self.extra_port(f"{name}__{kind}", kind[0]))
            for kind in ("i", "o", "oe")
        )
        m = Module()
        m.submodules += [i, o, oe]
        m.d.comb += [buffer.i.eq(i.i), o.o.eq(buffer.o), oe.o.eq(buffer.oe)]
        return m

    def extra_port(self, name: str, direction: str) -> io.SingleEndedPort:
        """Return a port of the top that no resource of the board has."""
        return io.SingleEndedPort(IOPort(1, name=name), direction=direction)


def simulated(platform: type[Platform]) -> Platform:
    """Return the simulation of a platform with the same resources."""
    return type(f"Simulated{platform.__name__}", (SimulationPlatform, platform), {})()


def board_verilog(top: Elaboratable, platform: Platform, name: str = "top") -> str:
    """Verilog text of a board's top, for a simulator.

    Ports: ``clk``, with the frequency of the engine, and the pins that the top uses. The power-on
    reset is in it.

    Parameters
    ----------
    top : Elaboratable
        What would be built.
    platform : Platform
        What `simulated` returns.
    name : str
        Name of the top module.
    """
    text = emit(top, name, platform, ports=())
    return "\n".join([*platform.extra_files.values(), text])
