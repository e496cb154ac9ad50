"""The top of any board: engine, link and pins."""

from typing import Any

from amaranth.build import Platform
from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Value,
)
from amaranth.lib import io, wiring

from hiddenite.boards.clock import ClockGenerator, ClockPlan
from hiddenite.boards.pins import PinFinder, Resources, is_ecp5
from hiddenite.boards.simulation import SimulationPlatform
from hiddenite.golden.errors import InputError
from hiddenite.link.board_link import BoardLink, LinkParameters
from hiddenite.rtl.verilog import TOP, generate

__all__ = ["ENGINE_FILE", "Top"]

ENGINE_FILE = "hiddenite.v"

_FLASH_CLOCKS = {"BG256": "N9", "MG285": "U16", "BG381": "U3", "BG554": "AE3"}
"""Pin of each package of ECP5 that is the clock of the configuration flash. A design drives it with
a cell of its own, USRMCLK."""


class Top(Elaboratable):
    """Engine, link and pins of a board.

    ::

        clock, button ─► clock generator
                              │ clk, rst
        UART ◄─────► link ◄───┴───► engine (Verilog, as `generate` makes it)
        SPI flash ◄──┘ └──► LEDs

    Parameters
    ----------
    clock : ClockPlan
    parameters : LinkParameters
        Its ``clock_hz`` is that of the clock.
    resources : Resources
        Pins by name; they are looked for when the top is elaborated, and an `InputError` says what
        is wrong with them.
    """

    def __init__(self, clock: ClockPlan, parameters: LinkParameters, resources: Resources):
        self.clock, self.parameters, self.resources = clock, parameters, resources

    def elaborate(self, platform):
        resources, finder = self.resources, PinFinder(platform)
        uart = flash = button = None
        if resources.uart is not None:
            uart = finder.uart(resources.uart)
        if self.parameters.flash_base is not None:
            flash = self._flash_pins(platform, finder)
        if resources.button is not None:
            button = finder.single(resources.button, "button", io.Direction.Input)
        leds = [finder.single(name, "led", io.Direction.Output) for name in resources.leds]
        # It takes seconds, and what is wrong with the pins is known by now.
        platform.add_file(ENGINE_FILE, generate(self.parameters.configuration))

        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clock = clock = ClockGenerator(self.clock)
        m.d.comb += [ClockSignal().eq(clock.clk), ResetSignal().eq(clock.rst)]
        m.submodules.link = link = BoardLink(self.parameters)
        m.submodules.engine = self._engine(link)
        if uart is not None:
            m.submodules.rx = rx = io.Buffer("i", uart["rx"])
            m.submodules.tx = tx = io.Buffer("o", uart["tx"])
            m.d.comb += [link.rx.eq(rx.i), tx.o.eq(link.tx)]
        if flash is not None:
            self._connect_flash(m, link, flash)
        if button is not None:
            m.submodules.button = buffer = io.Buffer("i", button)
            m.d.comb += clock.request.eq(buffer.i)
        shown = [link.running, link.error]
        if self.parameters.standalone:
            shown += list(link.number)
        for number, port in enumerate(leds):
            m.submodules[f"led_{number}"] = led = io.Buffer("o", port)
            # An LED without a meaning stays dark.
            m.d.comb += led.o.eq(shown[number] if number < len(shown) else 0)
        return m

    @staticmethod
    def _engine(link: BoardLink) -> Instance:
        ports = {"i_clk": ClockSignal(), "i_rst": link.engine_reset}
        for name in ("program", "image", "result", "status"):
            interface = getattr(link, name)
            for path, member, value in interface.signature.flatten(interface):
                # What the link gives, the engine takes.
                direction = "i" if member.flow is wiring.Out else "o"
                ports[f"{direction}_{'__'.join((name, *map(str, path)))}"] = Value.cast(value)
        return Instance(TOP, **ports)

    def _flash_pins(self, platform: Platform, finder: PinFinder) -> dict[str, io.PortLike | None]:
        """Pins of the flash; a clock that only a cell of its own can drive is None."""
        assert self.resources.flash is not None
        pins = finder.flash(self.resources.flash)
        clock = pins.get("clk")
        if is_ecp5(platform):
            if clock and clock.io.metadata[0].name != _FLASH_CLOCKS.get(platform.package):
                return pins
            if isinstance(platform, SimulationPlatform):
                return {**pins, "clk": platform.extra_port("spi_flash_clk", "o")}
            return {**pins, "clk": None}
        if clock is None:
            raise InputError("flash: must have a clk where the part is not an ECP5")
        return pins

    @staticmethod
    def _connect_flash(m: Module, link: BoardLink, pins: dict[str, Any]) -> None:
        m.submodules.cs = cs = io.Buffer("o", pins["cs"])
        # The pin's polarity is the platform's; here, 1 selects the flash.
        m.d.comb += cs.o.eq(~link.cs)
        if "dq" in pins:
            for n in range(len(pins["dq"])):
                m.submodules[f"dq_{n}"] = line = io.Buffer("io", pins["dq"][n])
                m.d.comb += [
                    line.o.eq(link.dq_o[n]),
                    line.oe.eq(link.dq_oe[n]),
                    link.dq_i[n].eq(line.i),
                ]
        else:
            m.submodules.copi = copi = io.Buffer("o", pins["copi"])
            m.submodules.cipo = cipo = io.Buffer("i", pins["cipo"])
            m.d.comb += [copi.o.eq(link.dq_o[0]), link.dq_i[1].eq(cipo.i)]
            for name in ("wp", "hold"):
                if name in pins:
                    m.submodules[name] = buffer = io.Buffer("o", pins[name])
                    m.d.comb += buffer.o.eq(0)
        if pins["clk"] is None:
            m.submodules.sck = Instance("USRMCLK", i_USRMCLKI=link.sck, i_USRMCLKTS=Const(0))
        else:
            m.submodules.sck = sck = io.Buffer("o", pins["clk"])
            m.d.comb += sck.o.eq(link.sck)
