"""Resources of a platform by name, as users write them."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from amaranth.build import Attrs, Pins, Platform, Resource, Subsignal
from amaranth.lib import io
from amaranth.vendor import LatticeICE40Platform

from hiddenite.golden.errors import InputError
from hiddenite.link.flash_reader import LINES

__all__ = [
    "PinFinder",
    "ResourceName",
    "Resources",
    "default_resources",
    "find_resource",
    "flash_lines",
    "is_ecp5",
]

_NAME = re.compile(r"([A-Za-z]\w*)(?::(\d+))?(?:\.(\w+))?")
_TWO_PINS = re.compile(r"(\w+),(\w+)")
_FLASH = ("spi_flash_4x", "spi_flash_2x", "spi_flash_1x", "spi_flash")
_FLASH_PARTS = ("cs", "dq"), ("cs", "copi", "cipo")
_LEDS = 8


def is_ecp5(platform: Platform) -> bool:
    """Whether the platform's part is an ECP5."""
    return getattr(platform, "family", None) == "ecp5"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Names of the resources that a top uses.

    A name is that of the platform, with a number and a part where there are several: ``uart``,
    ``led:1``, ``rgb_led:0.g``.

    Attributes
    ----------
    clock : str or None
        None: the platform's default.
    uart : str or None
        Or two pins of the package, ``RX,TX``.
    flash : str or None
        SPI flash: with two or four lines ``dq``, or with ``copi`` and ``cipo``.
    leds : tuple of str
        The first shines while the engine runs, the second after an error, the others show the class
        in binary, lowest bit first.
    button : str or None
        Resets the engine.
    """

    clock: str | None = None
    uart: str | None = "uart"
    flash: str | None = None
    leds: tuple[str, ...] = ()
    button: str | None = None


def default_resources(platform: Platform) -> Resources:
    """Resources with the usual names, as far as a platform has them."""
    names = {name for name, _ in platform.resources}
    leds = [
        f"led:{number}"
        for name, number in platform.resources
        if name == "led" and not isinstance(platform.lookup(name, number).ios[0], Subsignal)
    ]
    return Resources(
        flash=next((name for name in _FLASH if name in names), None),
        leds=tuple(leds[:_LEDS]),
        button=platform.default_rst,
    )


class ResourceName(NamedTuple):
    """A name in its parts."""

    resource: str
    number: int
    part: str | None


def find_resource(platform: Platform, text: str, what: str) -> ResourceName:
    """Resource of a platform that a user names.

    Raises
    ------
    InputError
        There is none; the message lists those that there are.
    """
    if match := _NAME.fullmatch(text):
        name = ResourceName(match[1], int(match[2] or 0), match[3])
        if (name.resource, name.number) in platform.resources:
            return name
    raise InputError(f"{what}: the board has no {text!r}, but {_listed(platform.resources)}")


def flash_lines(platform: Platform, text: str) -> int:
    """On how many lines a flash gives data: 1, 2 or 4.

    Raises
    ------
    InputError
        There is no such flash.
    """
    name = find_resource(platform, text, "flash")
    ios = platform.lookup(name.resource, name.number).ios
    parts = {sub.name: sub for sub in ios} if isinstance(ios[0], Subsignal) else {}
    if name.part or not any(all(part in parts for part in need) for need in _FLASH_PARTS):
        raise InputError(
            f"flash: must be a resource with {' or '.join(map(', '.join, _FLASH_PARTS))},"
            f" not {text!r}" + (f" with {', '.join(parts)}" if parts else "")
        )
    lines = len(parts["dq"].ios[0].names) if "dq" in parts else 1
    if lines not in LINES:
        raise InputError(f"flash: dq must be 2 or 4 lines, not {lines}")
    return lines


class PinFinder:
    """Gives the pins of a platform by what users call them, each once.

    Parameters
    ----------
    platform : Platform
    """

    def __init__(self, platform: Platform):
        self._platform = platform
        self._requested: dict[tuple, Any] = {}

    def group(self, text: str, what: str, parts: tuple[str, ...]) -> dict[str, io.PortLike]:
        """Pins of a resource that has parts.

        Parameters
        ----------
        text : str
            Name of the resource.
        what : str
            What it is for, for messages.
        parts : tuple of str
            Parts that it must have.

        Returns
        -------
        dict of str to port
            All its parts.

        Raises
        ------
        InputError
            There is no such resource, or it lacks a part.
        """
        name = find_resource(self._platform, text, what)
        there = self._parts(name)
        lacking = [part for part in parts if part not in there]
        if name.part or lacking:
            raise InputError(
                f"{what}: must be a resource with {', '.join(parts)}, not {text!r}"
                + (f" with {', '.join(there)}" if there else "")
            )
        group = self._request(name)
        return {part: getattr(group, part) for part in there}

    def single(self, text: str, what: str, direction: io.Direction) -> io.PortLike:
        """One pin.

        Raises
        ------
        InputError
            There is no such resource or part of one, or it has several pins, or the other
            direction.
        """
        name = find_resource(self._platform, text, what)
        there = self._parts(name)
        if (name.part or "") not in (there or [""]):
            parts = ", ".join(f"{name.resource}:{name.number}.{part}" for part in there)
            raise InputError(
                f"{what}: must be {f'one of {parts}' if there else 'without a part'}, not {text!r}"
            )
        port = self._request(name)
        if name.part:
            port = getattr(port, name.part)
        if len(port) != 1 or port.direction not in (direction, io.Direction.Bidir):
            kind = {io.Direction.Input: "input", io.Direction.Output: "output"}[direction]
            raise InputError(f"{what}: must be one {kind} pin, which {text!r} is not")
        return port

    def flash(self, text: str) -> dict[str, io.PortLike]:
        """Pins of an SPI flash.

        Raises
        ------
        InputError
            There is no such flash.
        """
        flash_lines(self._platform, text)
        return self.group(text, "flash", ("cs",))

    def uart(self, text: str) -> dict[str, io.PortLike]:
        """Parts ``rx`` and ``tx`` of a resource, or of two pins of the package."""
        if pins := _TWO_PINS.fullmatch(text):
            rx, tx = pins.groups()
            self._platform.add_resources(
                [
                    Resource(
                        "uart_pins",
                        0,
                        Subsignal("rx", Pins(rx, dir="i")),
                        Subsignal("tx", Pins(tx, dir="o")),
                        _input_output_standard(self._platform),
                    )
                ]
            )
            text = "uart_pins"
        return self.group(text, "uart", ("rx", "tx"))

    def _parts(self, name: ResourceName) -> list[str]:
        ios = self._platform.lookup(name.resource, name.number).ios
        return [sub.name for sub in ios] if isinstance(ios[0], Subsignal) else []

    def _request(self, name: ResourceName):
        key = name.resource, name.number
        if key not in self._requested:
            self._requested[key] = self._platform.request(*key, dir="-")
        return self._requested[key]


def _input_output_standard(platform: Platform) -> Attrs:
    if isinstance(platform, LatticeICE40Platform):
        return Attrs(IO_STANDARD="SB_LVCMOS", PULLUP=1)
    return Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP") if is_ecp5(platform) else Attrs()


def _listed(resources) -> str:
    numbers: dict[str, list[int]] = {}
    for name, number in resources:
        numbers.setdefault(name, []).append(number)
    return ", ".join(
        name if found == [0] else f"{name}:{'/'.join(map(str, found))}"
        for name, found in numbers.items()
    )
