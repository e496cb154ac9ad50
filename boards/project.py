"""What is built for a board: a board of the list, or a user's own platform, with changes to it."""

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from amaranth.build import Platform

from hiddenite.boards.boards import Board, part_of
from hiddenite.boards.build import BITSTREAM_SUFFIX, build, check_memories, family_of
from hiddenite.boards.clock import ClockPlan
from hiddenite.boards.pins import Resources, default_resources, flash_lines
from hiddenite.boards.top import Top
from hiddenite.golden.errors import InputError
from hiddenite.link.board_link import LinkParameters
from hiddenite.link.protocol import DEFAULT_BAUD, LONGEST_NAME
from hiddenite.rtl.configuration import PRESETS, Configuration
from hiddenite.synthesis.parts import PARTS

__all__ = ["REPORT_FILE", "Project", "load_platform"]

REPORT_FILE = "report.json"
_FLASH_BASE = {"ice40": 0x4_0000, "ecp5": 0x20_0000}
"""Behind the largest bitstream of each family."""
_FALLBACK = "tiny"


def load_platform(text: str) -> type[Platform]:
    """Platform class of a user.

    Parameters
    ----------
    text : str
        ``module:Class`` or ``file.py:Class``.

    Raises
    ------
    InputError
        There is none.
    """
    where, _, name = text.rpartition(":")
    if not where or not name.isidentifier():
        raise InputError(f"platform: must be module:Class or file.py:Class, not {text!r}")
    try:
        if where.endswith(".py"):
            specification = importlib.util.spec_from_file_location(Path(where).stem, where)
            if specification is None or specification.loader is None:
                raise ImportError(f"{where} is no module")
            module = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(module)
        else:
            sys.path.insert(0, "")
            try:
                module = importlib.import_module(where)
            finally:
                sys.path.remove("")
    except Exception as error:
        # What runs here is the user's.
        raise InputError(
            f"platform {text}: cannot be imported: {type(error).__name__}: {error}"
        ) from None
    platform = getattr(module, name, None)
    if not (isinstance(platform, type) and issubclass(platform, Platform)):
        raise InputError(f"platform {text}: must be a class of amaranth.build.Platform")
    if lacking := getattr(platform, "__abstractmethods__", None):
        raise InputError(f"platform {text}: lacks {', '.join(sorted(lacking))}")
    return platform


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is built.

    Attributes
    ----------
    name : str
        What the board calls itself; also that of the bitstream.
    platform : type of Platform
    configuration_name : str
    configuration : Configuration
    clock_hz : float or None
        None: the board's.
    baud : int
    resources : Resources
    bitstream_base, flash_base : int
        Where the bitstream and networks lie in the flash.
    network_name : str or None
        Of a network that is baked into block RAM.
    program : bytes or None
        Its program.
    standalone : bool
        Runs what is in the flash until a host comes.
    """

    name: str
    platform: type[Platform]
    configuration_name: str
    configuration: Configuration
    clock_hz: float | None = None
    baud: int = DEFAULT_BAUD
    resources: Resources
    bitstream_base: int = 0
    flash_base: int
    network_name: str | None = None
    program: bytes | None = None
    standalone: bool = False

    @classmethod
    def of_board(cls, board: Board) -> "Project":
        """What is usual on a board of the list."""
        same = (
            "name",
            "platform",
            "configuration_name",
            "configuration",
            "clock_hz",
            "baud",
            "resources",
            "bitstream_base",
            "flash_base",
        )
        return cls(**{name: getattr(board, name) for name in same})

    @classmethod
    def of_platform(cls, platform: type[Platform]) -> "Project":
        """What is likely on a user's platform: resources with the usual names, and the preset that
        is made for the part, or else the smallest one.

        Raises
        ------
        InputError
            The part is neither iCE40 nor ECP5.
        """
        part = part_of(platform)
        preset = next(
            (key for key in PRESETS if part is not None and PARTS.get(key) is part), _FALLBACK
        )
        return cls(
            name=platform.__name__.strip("_").removesuffix("Platform")[:LONGEST_NAME] or "board",
            platform=platform,
            configuration_name=preset,
            configuration=PRESETS[preset],
            resources=default_resources(platform()),
            flash_base=_FLASH_BASE[family_of(platform)],
        )

    def with_resources(self, **names: Any) -> "Project":
        """The same with other names of resources; those that are None stay."""
        given = {key: value for key, value in names.items() if value is not None}
        return replace(self, resources=replace(self.resources, **given))

    def plan(self, platform: Platform) -> tuple[ClockPlan, LinkParameters]:
        """Clock and link on an instance of the platform.

        Raises
        ------
        InputError
            They cannot be.
        """
        resources = self.resources
        if resources.uart is None and not self.standalone:
            raise InputError("uart: must be there unless the board runs alone")
        clock = ClockPlan.find(platform, self.clock_hz, resources.clock)
        return clock, LinkParameters(
            configuration=self.configuration,
            clock_hz=round(clock.frequency_hz),
            baud=self.baud,
            name=self.name,
            flash_base=self.flash_base if resources.flash is not None else None,
            flash_lines=1 if resources.flash is None else flash_lines(platform, resources.flash),
            program=self.program,
            standalone=self.standalone,
        )

    def top(self, platform: Platform) -> Top:
        """Top for an instance of the platform, or of its simulation.

        Raises
        ------
        InputError
            Its clock or its link cannot be.
        """
        return Top(*self.plan(platform), self.resources)

    def build(
        self,
        directory: Path,
        *,
        seeds: Sequence[int] = (1,),
        jobs: int = 1,
        allow_slow: bool = False,
        progress: Callable[[str, int, int | None, str], None] | None = None,
    ) -> dict[str, object]:
        """Build the bitstream; it and ``report.json`` are only there when all has gone well.

        Parameters
        ----------
        directory : Path
            For all files; made if it is not there.
        seeds : sequence of int
            What nextpnr's random numbers begin with; the fastest result is kept.
        jobs : int
            How many of them run at once.
        allow_slow : bool
            Make a bitstream even if it is not as fast as its clock.
        progress : callable, optional
            Called with a step, how much of it is done, of how much, and how it goes.

        Returns
        -------
        dict
            The report.

        Raises
        ------
        InputError
            Something cannot be, a program is missing, or the clock is not met.
        RuntimeError
            A program fails.
        """
        family = family_of(self.platform)
        bitstream = directory / f"{self.name}{BITSTREAM_SUFFIX[family]}"
        for path in (bitstream, directory / REPORT_FILE):
            if path.is_dir():
                raise InputError(f"{path}: must be a file, not a directory")
        part = part_of(self.platform)
        if part is not None:
            check_memories(part, self.configuration)
        platform = self.platform()
        clock, parameters = self.plan(platform)
        built = build(
            self.top,
            platform,
            directory,
            part=part,
            seeds=seeds,
            jobs=jobs,
            progress=progress,
        )
        uses_flash = parameters.flash_base is not None
        end = self.bitstream_base + built["bitstream_bytes"]
        if uses_flash and end > self.flash_base:
            raise InputError(
                f"flash base must be at least {end:#x}, behind the bitstream,"
                f" not {self.flash_base:#x}"
            )
        met = built["fmax_mhz"] >= built["constraint_mhz"]
        if not met and not allow_slow:
            raise InputError(
                f"clock: {built['constraint_mhz']:g} MHz is not met, at most"
                f" {built['fmax_mhz']:g}: give a slower --clock, more --seeds, or --force"
            )
        (directory / built["bitstream"]).replace(bitstream)
        report = {
            "board": self.name,
            "platform": f"{self.platform.__module__}:{self.platform.__qualname__}",
            "device": self.platform.device,
            "configuration_name": self.configuration_name,
            "configuration": asdict(self.configuration),
            "fingerprint": f"0x{self.configuration.fingerprint:08x}",
            "processing_elements": self.configuration.processing_elements,
            "clock_mhz": round(clock.frequency_hz / 1e6, 4),
            "clock_met": met,
            "baud": self.baud,
            "pins": asdict(self.resources),
            "bitstream_base": self.bitstream_base,
            "flash_base": self.flash_base if uses_flash else None,
            "flash_lines": parameters.flash_lines if uses_flash else None,
            "baked_network": self.network_name,
            "standalone": self.standalone,
            **built,
            "bitstream": bitstream.name,
        }
        (directory / REPORT_FILE).write_text(json.dumps(report, indent=2) + "\n")
        return report
