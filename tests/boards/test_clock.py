import pytest
from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.hdl import ClockDomain, ClockSignal, Fragment, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.sim import Simulator
from amaranth.vendor import GowinPlatform, LatticeICE40Platform

from hiddenite.boards.boards import BOARDS
from hiddenite.boards.clock import ClockGenerator, ClockPlan
from hiddenite.boards.simulation import SimulationPlatform
from hiddenite.golden.errors import InputError

LED = Resource("led", 0, Pins("39", dir="o"), Attrs(IO_STANDARD="SB_LVCMOS"))


class OnChip(LatticeICE40Platform):
    """No clock but the oscillator on chip."""

    device, package, default_clk = "iCE40UP5K", "SG48", "SB_HFOSC"
    resources, connectors = (LED,), ()


class WithoutClock(LatticeICE40Platform):
    device, package = "iCE40UP5K", "SG48"
    resources, connectors = (LED,), ()


class OtherVendor(GowinPlatform):
    part, family, default_clk = "GW1NR-LV9QN88PC6/I5", "GW1NR-9C", "clk27"
    board = None
    resources = (Resource("clk27", 0, Pins("52", dir="i"), Clock(27e6)), LED)
    connectors = ()


def netlist(platform, target_hz, **options):
    """RTLIL, constraints and frequency of a clock and a counter."""
    plan = ClockPlan.find(platform, target_hz, **options)
    made = ClockGenerator(plan)
    m = Module()
    m.domains.sync = ClockDomain()
    m.submodules.clock = made
    m.submodules.led = led = io.Buffer("o", platform.request("led", 0, dir="-"))
    counter = Signal(8)
    m.d.comb += [
        ClockSignal().eq(made.clk),
        ResetSignal().eq(made.rst),
        led.o.eq(counter[-1]),
    ]
    m.d.sync += counter.eq(counter + 1)
    files = platform.build(m, do_build=False, emit_src=False).files
    constraints = files.get("top.pcf") or files.get("top.lpf")
    return files["top.il"], constraints, plan.frequency_hz


@pytest.mark.parametrize(
    ("board", "target", "cell", "constraint"),
    [
        # Pin 35 leads into the PLL.
        ("icebreaker", 24e6, "SB_PLL40_PAD", "set_frequency clock.clk 24.0"),
        ("hx8k", 48e6, "SB_PLL40_CORE", "set_frequency clock.clk 48.0"),
        ("ulx3s-25f", 50e6, "EHXPLLL", 'FREQUENCY NET "clock.clk" 50000000.0 HZ'),
        ("orangecrab", 60e6, "EHXPLLL", 'FREQUENCY NET "clock.clk" 60000000.0 HZ'),
    ],
)
def test_plls(board, target, cell, constraint):
    text, constraints, frequency = netlist(BOARDS[board].platform(), target)
    assert frequency == target
    assert f"cell \\{cell} " in text
    assert constraint in constraints


@pytest.mark.parametrize("target", [None, 12e6])
def test_clock_of_the_board(target):
    text, constraints, frequency = netlist(BOARDS["hx8k"].platform(), target)
    assert frequency == 12e6 and "SB_PLL40" not in text
    assert "set_frequency clk12_0__io 12.0" in constraints


@pytest.mark.parametrize(
    ("target", "divider", "frequency", "pll"),
    [
        (None, "0b00", 48e6, False),
        (24e6, "0b01", 24e6, False),
        (6e6, "0b11", 6e6, False),
        (36e6, "0b00", 36e6, True),
    ],
)
def test_oscillator_on_chip(target, divider, frequency, pll):
    text, _, made = netlist(OnChip(), target)
    assert made == frequency
    assert f'parameter \\CLKHF_DIV "{divider}"' in text
    assert ("SB_PLL40_CORE" in text) is pll


@pytest.mark.parametrize(
    ("platform", "target", "options", "message"),
    [
        (WithoutClock, None, {}, "clock: the platform has no default clock; name a resource"),
        (WithoutClock, None, {"resource": "x"}, "clock: the board has no 'x', but led"),
        (
            WithoutClock,
            None,
            {"resource": "led"},
            "clock: the platform does not say the frequency of 'led'",
        ),
        (OnChip, 5e6, {}, "clock: the PLL of iCE40 makes 16 to 275 MHz, not 5"),
        (
            OtherVendor,
            48e6,
            {},
            "clock: must be the board's 27 MHz where there is no PLL of iCE40 or ECP5, not 48",
        ),
    ],
)
def test_refused_clocks(platform, target, options, message):
    with pytest.raises(InputError) as raised:
        ClockPlan.find(platform(), target, **options)
    assert str(raised.value) == message


def test_other_vendors_keep_their_clock():
    assert ClockPlan.find(OtherVendor(), 27e6).frequency_hz == 27e6


class FakePlatform(SimulationPlatform):
    """In Amaranth's own simulator."""

    def __init__(self):
        self.clock = io.SimulationPort("i", 1)

    def extra_port(self, name, direction):
        assert (name, direction) == ("clk", "i")
        return self.clock


def test_reset_lasts_after_power_on_and_after_a_button():
    generator = ClockGenerator(ClockPlan.find(BOARDS["hx8k"].platform()))
    platform = FakePlatform()
    cycles = round(15e-6 * 12e6)

    async def bench(ctx):
        async def cycle():
            ctx.set(platform.clock.i, 1)
            await ctx.delay(1e-9)
            ctx.set(platform.clock.i, 0)
            await ctx.delay(1e-9)

        async def length():
            for number in range(10 * cycles):
                if not ctx.get(generator.rst):
                    return number
                await cycle()

        assert cycles <= await length() <= cycles + 10
        for _ in range(20):
            await cycle()
            assert not ctx.get(generator.rst)
        # A button that bounces.
        for pressed in (1, 0, 1, 1, 0, 1, 1, 1):
            ctx.set(generator.request, pressed)
            for _ in range(5):
                await cycle()
        assert ctx.get(generator.rst)
        ctx.set(generator.request, 0)
        assert cycles <= await length() <= cycles + 10

    simulator = Simulator(Fragment.get(generator, platform))
    simulator.add_testbench(bench)
    simulator.run()
