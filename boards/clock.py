"""The clock of a board's engine, and the reset that goes with it."""

from dataclasses import dataclass

from amaranth.build import Platform
from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from amaranth.vendor import LatticeICE40Platform

from hiddenite.boards.pins import PinFinder, find_resource, is_ecp5
from hiddenite.boards.pll import ECP5PLL, ICE40PLL
from hiddenite.boards.simulation import SimulationPlatform
from hiddenite.golden.errors import InputError

__all__ = ["ClockGenerator", "ClockPlan"]

_HFOSC_HZ = 48e6
_RESET_SECONDS = 15e-6
"""Block RAM of iCE40 reads as zeros for about 3 us after configuration; five times that."""
_OSCILLATOR_SECONDS = 100e-6
"""Until an oscillator on chip is stable."""
_ON_CHIP = ("SB_HFOSC", "SB_LFOSC", "OSCG")
_PLL_PADS = {("iCE40UP5K", "SG48"): "35"}
"""Pins that lead into a PLL and nowhere else once it is used. From any other pin a clock reaches a
PLL through the fabric."""


@dataclass(frozen=True, kw_only=True)
class ClockPlan:
    """How a board comes to the clock of its engine.

    PLLs are there for iCE40 and ECP5; with other parts the clock is the board's.

    Attributes
    ----------
    source : str
        Resource, or oscillator on chip.
    source_hz : float
    pll : ICE40PLL or ECP5PLL or None
        None: the source is the clock.
    """

    source: str
    source_hz: float
    pll: ICE40PLL | ECP5PLL | None = None

    @property
    def frequency_hz(self) -> float:
        """Frequency that comes out."""
        return self.source_hz if self.pll is None else self.pll.output_hz

    @classmethod
    def find(
        cls, platform: Platform, target_hz: float | None = None, resource: str | None = None
    ) -> "ClockPlan":
        """The nearest possible frequency, within 2 % of the target.

        Parameters
        ----------
        platform : Platform
        target_hz : float, optional
            Frequency that is wanted; the default is the board's.
        resource : str, optional
            Name of the board's clock; the default is the platform's ``default_clk``.

        Raises
        ------
        InputError
            The platform has no such clock, or does not say its frequency, or its part cannot make
            the one that is wanted.
        """
        source = resource or platform.default_clk
        if source is None:
            raise InputError("clock: the platform has no default clock; name a resource")
        source_hz = _source_frequency(platform, source, target_hz)
        pll: ICE40PLL | ECP5PLL | None = None
        if target_hz is not None and abs(target_hz - source_hz) > 1:
            if isinstance(platform, LatticeICE40Platform):
                pll = ICE40PLL.find(source_hz, target_hz)
            elif is_ecp5(platform):
                pll = ECP5PLL.find(source_hz, target_hz)
            else:
                raise InputError(
                    f"clock: must be the board's {source_hz / 1e6:g} MHz where there is no PLL of"
                    f" iCE40 or ECP5, not {target_hz / 1e6:g}"
                )
        return cls(source=source, source_hz=source_hz, pll=pll)


class ClockGenerator(wiring.Component):
    """Makes a clock out of what the board has, and a reset.

    ::

        pin, or oscillator on chip ─► PLL, if planned ─┬─► clk
                                                       └─► timer ─► rst

    In a simulation the clock comes from the port ``clk``, whatever the board has.

    Parameters
    ----------
    plan : ClockPlan

    Members
    -------
    request : asks for a reset, not synchronised (a button)
    clk : the clock
    rst : the reset that goes with it: for 15 us after power-on and after a request, so that a
        bouncing button makes no more than one of it that matters
    """

    def __init__(self, plan: ClockPlan):
        self.plan = plan
        self._pin = None
        super().__init__({"request": In(1), "clk": Out(1), "rst": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        locked = Const(1)
        if not isinstance(platform, SimulationPlatform) and self.plan.source not in _ON_CHIP:
            self._pin = PinFinder(platform).single(self.plan.source, "clock", io.Direction.Input)
        if isinstance(platform, SimulationPlatform):
            m.submodules.buffer = buffer = io.Buffer("i", platform.extra_port("clk", "i"))
            m.d.comb += self.clk.eq(buffer.i)
        elif self.plan.pll is None:
            m.d.comb += self.clk.eq(self._source(m, platform))
            if self.plan.source in _ON_CHIP:
                platform.add_clock_constraint(self.clk, self.plan.frequency_hz)
        else:
            locked = Signal()
            add = self._ecp5_pll if is_ecp5(platform) else self._ice40_pll
            add(m, platform, locked)
            platform.add_clock_constraint(self.clk, self.plan.frequency_hz)

        m.domains.reset = ClockDomain(reset_less=True, local=True)
        m.d.comb += ClockSignal("reset").eq(self.clk)
        ready = Signal()
        m.submodules.ready = FFSynchronizer(locked & ~self.request, ready, o_domain="reset")
        seconds = _OSCILLATOR_SECONDS if self.plan.source in _ON_CHIP else _RESET_SECONDS
        timer = Signal(range(int(seconds * self.plan.frequency_hz) + 1))
        with m.If(~ready):
            m.d.reset += [timer.eq(0), self.rst.eq(1)]
        with m.Elif(timer == int(seconds * self.plan.frequency_hz)):
            m.d.reset += self.rst.eq(0)
        with m.Else():
            m.d.reset += timer.eq(timer + 1)
        return m

    def _source(self, m: Module, platform: Platform) -> Signal:
        """Clock of the board, in the fabric."""
        clock = Signal()
        if self.plan.source == "SB_HFOSC":
            divider = round(_HFOSC_HZ / self.plan.source_hz).bit_length() - 1
            m.submodules.oscillator = Instance(
                "SB_HFOSC", p_CLKHF_DIV=f"0b{divider:02b}", i_CLKHFEN=1, i_CLKHFPU=1, o_CLKHF=clock
            )
        elif self.plan.source == "SB_LFOSC":
            m.submodules.oscillator = Instance("SB_LFOSC", i_CLKLFEN=1, i_CLKLFPU=1, o_CLKLF=clock)
        elif self.plan.source == "OSCG":
            m.submodules.oscillator = Instance("OSCG", p_DIV=platform.oscg_div, o_OSC=clock)
        else:
            m.submodules.buffer = buffer = io.Buffer("i", self._pin)
            m.d.comb += clock.eq(buffer.i)
        return clock

    def _ice40_pll(self, m: Module, platform: Platform, locked: Signal) -> None:
        pll = self.plan.pll
        assert isinstance(pll, ICE40PLL)
        pad = _PLL_PADS.get((platform.device, platform.package))
        if self._pin is not None and self._pin.io.metadata[0].name == pad:
            kind, reference = "PAD", {"i_PACKAGEPIN": self._pin.io}
        else:
            kind, reference = "CORE", {"i_REFERENCECLK": self._source(m, platform)}
        m.submodules.pll = Instance(
            f"SB_PLL40_{kind}",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(pll.divr, 4),
            p_DIVF=Const(pll.divf, 7),
            p_DIVQ=Const(pll.divq, 3),
            p_FILTER_RANGE=Const(pll.filter_range, 3),
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=self.clk,
            o_LOCK=locked,
            **reference,
        )

    def _ecp5_pll(self, m: Module, platform: Platform, locked: Signal) -> None:
        pll = self.plan.pll
        assert isinstance(pll, ECP5PLL)
        feedback = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            # Currents and resistors of the loop, as the vendor's tool sets them.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=pll.clki_div,
            p_CLKFB_DIV=1,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=pll.clkop_div,
            p_CLKOP_CPHASE=pll.clkop_div // 2,
            p_CLKOP_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_DIV=pll.clkos_div,
            p_CLKOS_CPHASE=0,
            p_CLKOS_FPHASE=0,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_CLKI=self._source(m, platform),
            i_CLKFB=feedback,
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=feedback,
            o_CLKOS=self.clk,
            o_LOCK=locked,
        )


def _source_frequency(platform: Platform, name: str, target_hz: float | None) -> float:
    if name == "SB_HFOSC":
        # The fastest, unless another one is just right.
        possible = [_HFOSC_HZ / 2**divider for divider in range(4)]
        wanted = target_hz or _HFOSC_HZ / 2 ** getattr(platform, "hfosc_div", 0)
        return next((hz for hz in possible if abs(hz - wanted) <= 1), _HFOSC_HZ)
    if name in _ON_CHIP:
        return platform.default_clk_frequency
    found = find_resource(platform, name, "clock")
    clock = platform.lookup(found.resource, found.number).clock
    if clock is None:
        raise InputError(f"clock: the platform does not say the frequency of {name!r}")
    return clock.frequency
