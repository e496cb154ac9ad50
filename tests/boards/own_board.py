"""A board as a user describes it; tests and docs/boards.md build it."""

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeICE40Platform
from amaranth_boards.resources import LEDResources, SPIFlashResources, UARTResource

LVCMOS = Attrs(IO_STANDARD="SB_LVCMOS")


class OwnBoardPlatform(LatticeICE40Platform):
    device, package = "iCE40HX8K", "CT256"
    default_clk = "clk"
    connectors = ()
    resources = (
        Resource("clk", 0, Pins("J3", dir="i"), Clock(12e6), LVCMOS),
        UARTResource(0, rx="B10", tx="B12", attrs=LVCMOS),
        *LEDResources(pins="C3 B3", attrs=LVCMOS),
        *SPIFlashResources(0, cs_n="R12", clk="R11", copi="P12", cipo="P11", attrs=LVCMOS),
    )
