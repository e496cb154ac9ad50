import pytest
from amaranth.build import Attrs, Pins, PinsN, Resource, Subsignal
from amaranth.lib.io import Direction
from amaranth.vendor import LatticeICE40Platform
from amaranth_boards.ulx3s import ULX3S_25F_Platform

from hiddenite.boards.boards import BOARDS
from hiddenite.boards.pins import (
    PinFinder,
    Resources,
    default_resources,
    find_resource,
    flash_lines,
)
from hiddenite.golden.errors import InputError


@pytest.fixture
def hx8k():
    return BOARDS["hx8k"].platform()


@pytest.fixture
def ecpix5():
    return BOARDS["ecpix5-85f"].platform()


def names(port):
    return [bit.name for bit in port.io.metadata]


def test_names(hx8k):
    assert find_resource(hx8k, "uart", "uart") == ("uart", 0, None)
    assert find_resource(hx8k, "led:3", "led") == ("led", 3, None)
    assert find_resource(hx8k, "uart:0.rx", "uart") == ("uart", 0, "rx")


@pytest.mark.parametrize("text", ["led:8", "lamp", "", "led:", "led.", "3", "led:1:2", "léd"])
def test_unknown_names(hx8k, text):
    with pytest.raises(InputError) as raised:
        find_resource(hx8k, text, "led")
    assert str(raised.value) == (
        f"led: the board has no {text!r}, but clk12, led:0/1/2/3/4/5/6/7, uart, spi_flash_1x,"
        " spi_flash_2x"
    )


def test_single_pins(hx8k, ecpix5):
    assert names(PinFinder(hx8k).single("led:1", "led", Direction.Output)) == ["B3"]
    pins = PinFinder(ecpix5)
    # Parts of one resource, which can be requested only once.
    assert names(pins.single("rgb_led:0.g", "led", Direction.Output)) == ["R21"]
    assert names(pins.single("rgb_led:0.r", "led", Direction.Output)) == ["T23"]


def test_groups(hx8k):
    flash = PinFinder(hx8k).group("spi_flash_1x", "flash", ("cs", "copi", "cipo"))
    assert {name: names(port) for name, port in flash.items()} == {
        "cs": ["R12"],
        "clk": ["R11"],
        "copi": ["P12"],
        "cipo": ["P11"],
    }


def test_uart_on_two_pins(hx8k):
    pins = PinFinder(hx8k).uart("R16,T15")
    assert names(pins["rx"]) == ["R16"] and names(pins["tx"]) == ["T15"]
    assert pins["rx"].direction is Direction.Input and pins["tx"].direction is Direction.Output


@pytest.mark.parametrize(
    ("board", "text", "message"),
    [
        (
            "ecpix5-85f",
            "rgb_led",
            "led: must be one of rgb_led:0.r, rgb_led:0.g, rgb_led:0.b, not 'rgb_led'",
        ),
        ("hx8k", "led:0.r", "led: must be without a part, not 'led:0.r'"),
        ("hx8k", "clk12", "led: must be one output pin, which 'clk12' is not"),
        ("ulx3s-25f", "audio.l", "led: must be one output pin, which 'audio.l' is not"),
    ],
)
def test_refused_pins(board, text, message):
    with pytest.raises(InputError) as raised:
        PinFinder(BOARDS[board].platform()).single(text, "led", Direction.Output)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "spi_flash_2x",
            "flash: must be a resource with cs, copi, cipo, not 'spi_flash_2x' with cs, clk, dq",
        ),
        ("led", "flash: must be a resource with cs, copi, cipo, not 'led'"),
    ],
)
def test_refused_groups(hx8k, text, message):
    with pytest.raises(InputError) as raised:
        PinFinder(hx8k).group(text, "flash", ("cs", "copi", "cipo"))
    assert str(raised.value) == message


def test_lines_of_a_flash(hx8k, ecpix5):
    lines = {name: flash_lines(ecpix5, f"spi_flash_{name}") for name in ("1x", "2x", "4x")}
    assert lines == {"1x": 1, "2x": 2, "4x": 4}
    assert set(PinFinder(ecpix5).flash("spi_flash_4x")) == {"cs", "clk", "dq"}
    ports = PinFinder(hx8k).flash("spi_flash_1x")
    assert names(ports["cipo"]) == ["P11"] and names(ports["copi"]) == ["P12"]


class Odd(LatticeICE40Platform):
    device, package, default_clk = "iCE40UP5K", "SG48", "SB_HFOSC"
    connectors = ()
    resources = (
        Resource(
            "spi_flash",
            0,
            Subsignal("cs", PinsN("16")),
            Subsignal("dq", Pins("14 17 12", dir="io")),
        ),
    )


@pytest.mark.parametrize(
    ("platform", "text", "message"),
    [
        (
            BOARDS["hx8k"].platform,
            "led",
            "flash: must be a resource with cs, dq or cs, copi, cipo, not 'led'",
        ),
        (
            BOARDS["hx8k"].platform,
            "spi_flash_2x:0.dq",
            "flash: must be a resource with cs, dq or cs, copi, cipo, not 'spi_flash_2x:0.dq'"
            " with cs, clk, dq",
        ),
        (Odd, "spi_flash", "flash: dq must be 2 or 4 lines, not 3"),
    ],
)
def test_refused_flashes(platform, text, message):
    with pytest.raises(InputError) as raised:
        PinFinder(platform()).flash(text)
    assert str(raised.value) == message


class Bare(LatticeICE40Platform):
    device, package, default_clk = "iCE40UP5K", "SG48", "SB_HFOSC"
    connectors = ()
    resources = (
        Resource("led", 0, Pins("39", dir="o"), Attrs(IO_STANDARD="SB_LVCMOS")),
        Resource("lamp", 0, Pins("40", dir="o"), Attrs(IO_STANDARD="SB_LVCMOS")),
    )


def test_defaults(hx8k, ecpix5):
    assert default_resources(hx8k) == Resources(
        flash="spi_flash_2x", leds=tuple(f"led:{number}" for number in range(8))
    )
    assert default_resources(ecpix5) == Resources(flash="spi_flash_4x", button="rst")
    assert default_resources(ULX3S_25F_Platform()).flash == "spi_flash"
    assert default_resources(Bare()) == Resources(leds=("led:0",))
