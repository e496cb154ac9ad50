"""Boards that Hiddenite knows."""

from dataclasses import dataclass, field
from typing import Any

from amaranth.build import Attrs, Pins, PinsN, Platform, Resource, Subsignal
from amaranth_boards.ecpix5 import ECPIX585Platform
from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import LEDResources, UARTResource
from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_85F_Platform

from hiddenite.boards.pins import Resources
from hiddenite.boards.programmers import (
    DFU_UTIL,
    ECPPROG,
    FUJPROG,
    ICEPROG,
    Programmer,
    open_fpga_loader,
)
from hiddenite.golden.errors import InputError
from hiddenite.link.protocol import DEFAULT_BAUD
from hiddenite.rtl.configuration import PRESETS, Configuration
from hiddenite.synthesis.parts import PARTS, Part

__all__ = ["BOARDS", "Board", "find_board", "part_of"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board, and what is usual on it.

    Attributes
    ----------
    name : str
        What users call it.
    title : str
        What its maker calls it.
    platform : type of Platform
        Its pins.
    part : str
        Key of `PARTS`.
    configuration_name : str
        Preset, or a name for the board's own configuration.
    configuration : Configuration
        Engine that is built on it by default.
    clock_hz : float
        Clock of the engine by default.
    baud : int
    resources : Resources
    bitstream_base : int
        Where in the flash the bitstream lies.
    flash_base : int
        Where networks lie: behind the bitstream.
    programmers : tuple of Programmer
        The first one that is installed is used.
    """

    name: str
    title: str
    platform: type[Platform]
    part: str
    configuration_name: str
    configuration: Configuration
    clock_hz: float
    baud: int = DEFAULT_BAUD
    resources: Resources
    bitstream_base: int = 0
    flash_base: int
    programmers: tuple[Programmer, ...] = field(repr=False)


class ICEBreakerWithLEDs(ICEBreakerPlatform):
    """The board with its break-off part, whose five LEDs show the class."""

    resources = (*ICEBreakerPlatform.resources, *ICEBreakerPlatform.break_off_pmod)


# The platform has a flash with one line each way; its other two lines are pins, too.
_ULX3S_FLASH = Resource(
    "spi_flash_4x",
    0,
    Subsignal("cs", PinsN("R2", dir="o")),
    Subsignal("dq", Pins("W2 V2 Y2 W1", dir="io", assert_width=4)),
    Attrs(PULLMODE="NONE", DRIVE="4", IO_TYPE="LVCMOS33"),
)


class ULX3S25WithQuadFlash(ULX3S_25F_Platform):
    """The board, with all lines of its flash."""

    resources = (*ULX3S_25F_Platform.resources, _ULX3S_FLASH)


class ULX3S85WithQuadFlash(ULX3S_85F_Platform):
    """The board, with all lines of its flash."""

    resources = (*ULX3S_85F_Platform.resources, _ULX3S_FLASH)


class OrangeCrabOnHeader(OrangeCrabR0_2_25FPlatform):
    """The board with a serial adapter and four LEDs on its header, as it has no UART itself."""

    resources = (
        *OrangeCrabR0_2_25FPlatform.resources,
        UARTResource(
            0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")
        ),
        *LEDResources(pins="9 10 11 12", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33")),
    )


_ULX3S: dict[str, Any] = {
    "resources": Resources(
        flash="spi_flash_4x", leds=tuple(f"led:{n}" for n in range(6)), button="button_fire:0"
    ),
    "flash_base": 0x20_0000,
    "programmers": (open_fpga_loader("ulx3s"), FUJPROG),
}

_ALL = (
    Board(
        name="icebreaker",
        title="1BitSquared iCEBreaker 1.0",
        platform=ICEBreakerWithLEDs,
        part="up5k",
        configuration_name="up5k",
        configuration=PRESETS["up5k"],
        clock_hz=24e6,
        resources=Resources(
            flash="spi_flash_4x",
            leds=("led_g:0", "led_r:0", *(f"led:{n}" for n in (2, 3, 4, 5))),
            button="button:0",
        ),
        flash_base=0x4_0000,
        programmers=(open_fpga_loader("ice40_generic", ram=False), ICEPROG.without_ram()),
    ),
    Board(
        name="hx8k",
        title="Lattice iCE40-HX8K Breakout Board",
        platform=ICE40HX8KBEVNPlatform,
        part="hx8k",
        configuration_name="hx8k",
        configuration=PRESETS["hx8k"],
        clock_hz=48e6,
        resources=Resources(flash="spi_flash_2x", leds=tuple(f"led:{n}" for n in range(6))),
        flash_base=0x4_0000,
        programmers=(ICEPROG, open_fpga_loader("ice40_generic", ram=False)),
    ),
    Board(
        name="ulx3s-25f",
        title="Radiona ULX3S with ECP5-25F",
        platform=ULX3S25WithQuadFlash,
        part="ecp5-25f",
        configuration_name="ecp5-25f",
        configuration=PRESETS["ecp5-25f"],
        clock_hz=75e6,
        **_ULX3S,
    ),
    Board(
        name="ulx3s-85f",
        title="Radiona ULX3S with ECP5-85F",
        platform=ULX3S85WithQuadFlash,
        part="ecp5-85f",
        configuration_name="ecp5-25f",
        configuration=PRESETS["ecp5-25f"],
        clock_hz=75e6,
        **_ULX3S,
    ),
    Board(
        name="ecpix5-85f",
        title="LambdaConcept ECPIX-5 with ECP5-85F",
        platform=ECPIX585Platform,
        part="ecp5-85f",
        configuration_name="ecp5-25f",
        configuration=PRESETS["ecp5-25f"],
        clock_hz=100e6,
        resources=Resources(
            flash="spi_flash_4x",
            leds=(
                "rgb_led:0.g",
                "rgb_led:0.r",
                *(f"rgb_led:{number}.b" for number in range(4)),
            ),
            button="rst",
        ),
        flash_base=0x20_0000,
        programmers=(open_fpga_loader("ecpix5"), ECPPROG),
    ),
    Board(
        name="orangecrab",
        title="OrangeCrab r0.2 with ECP5-25F",
        platform=OrangeCrabOnHeader,
        part="ecp5-25f",
        configuration_name="ecp5-25f",
        configuration=PRESETS["ecp5-25f"],
        clock_hz=48e6,
        resources=Resources(
            flash="spi_flash_4x",
            leds=("rgb_led:0.g", "rgb_led:0.r", *(f"led:{n}" for n in range(4))),
            button="button:0",
        ),
        # Those of the boot loader, which writes to these two places.
        bitstream_base=0x8_0000,
        flash_base=0x10_0000,
        programmers=(DFU_UTIL,),
    ),
)
BOARDS = {board.name: board for board in _ALL}
"""Boards by name."""


def find_board(name: str) -> Board:
    """Board of that name.

    Raises
    ------
    InputError
        There is none.
    """
    if name not in BOARDS:
        raise InputError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]


_DEVICES = {
    "iCE40UP5K": "up5k",
    "iCE40HX8K": "hx8k",
    **{
        f"LFE5{kind}-{size}F": f"ecp5-{part}f"
        for kind in ("U", "UM", "UM5G")
        for size, part in (("12", "25"), ("25", "25"), ("45", "45"), ("85", "85"))
    },
}


def part_of(platform: Platform | type[Platform]) -> Part | None:
    """Part of a platform; None if it is none of `PARTS`."""
    return PARTS.get(_DEVICES.get(getattr(platform, "device", ""), ""))
