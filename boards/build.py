"""From a top to a bitstream: synthesis, place and route, packing.

Amaranth writes the constraints and the scripts; Yosys, nextpnr and the packer are those that
`hiddenite.synthesis` finds.
"""

import importlib.util
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from amaranth.build import Platform
from amaranth.hdl import Elaboratable

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration
from hiddenite.synthesis import toolchain
from hiddenite.synthesis.carries import align_carries
from hiddenite.synthesis.nextpnr import RESOURCES
from hiddenite.synthesis.parts import Part, memory_blocks
from hiddenite.synthesis.processes import Job, run, tail
from hiddenite.synthesis.toolchain import Tool
from hiddenite.synthesis.yosys import run_yosys

__all__ = ["BITSTREAM_SUFFIX", "build", "check_memories", "family_of", "packer"]

Progress = Callable[[str, int, int | None, str], None]

BITSTREAM_SUFFIX = {"ice40": ".bin", "ecp5": ".bit"}
_PACKERS = {"ice40": "icepack", "ecp5": "ecppack"}
_DESIGN = "top"
_REPORT = "nextpnr.json"
_ERROR = re.compile(r"^ERROR: (.*)$", re.M)
_USAGE = re.compile(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%$", re.M)
_PHASES = (("route", "Routing.."), ("place", "Placed "), ("pack", "Packing"))


def family_of(platform: Platform | type[Platform]) -> str:
    """Family of a platform's part: "ice40" or "ecp5".

    Raises
    ------
    InputError
        It is neither.
    """
    # Platforms of other vendors call it otherwise.
    device = getattr(platform, "device", None) or getattr(platform, "__name__", platform)
    for family, prefixes in (("ice40", ("ice40", "ice5")), ("ecp5", ("lfe5", "lae5"))):
        if str(device).lower().startswith(prefixes):
            return family
    raise InputError(f"platform: the part must be an iCE40 or an ECP5, not {device}")


def packer(family: str) -> Tool:
    """Find the program that makes a bitstream of what nextpnr makes.

    Parameters
    ----------
    family : str
        "ice40" or "ecp5".

    Raises
    ------
    InputError
        It is missing.
    """
    name = _PACKERS[family]
    if native := shutil.which(name):
        return Tool(name, (native,), f"{name} (native)")
    package = f"yowasp_nextpnr_{family}"
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"{name} is not installed: install it with `pip install 'hiddenite[build]'`"
        )
    code = f"import sys, {package} as p; sys.exit(p.run_{name}(sys.argv[1:]))"
    version = metadata.version(package.replace("_", "-"))
    return Tool(name, (sys.executable, "-c", code), f"{name} {version} (YoWASP, WebAssembly)")


def check_memories(part: Part, c: Configuration) -> None:
    """Check that a part has enough memory blocks, before anything is built.

    Raises
    ------
    InputError
        It has not.
    """
    for block, (needed, there) in memory_blocks(part, c).items():
        if needed > there:
            raise InputError(
                f"configuration does not fit {part.name}: {needed} {block} needed, {there} there"
            )


def build(
    make_top: Callable[[Platform], Elaboratable],
    platform: Platform,
    directory: Path,
    *,
    part: Part | None,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Build a bitstream.

    Parameters
    ----------
    make_top : callable
        Makes the top for the platform.
    platform : Platform
        Of iCE40 or ECP5; used up by this.
    directory : Path
        For all files, logs included; made if it is not there.
    part : Part or None
        Whose options of synthesis are used.
    seed : int
        What nextpnr's random numbers begin with.
    progress : callable, optional
        Called with a step, how much of it is done, of how much, and how it goes.

    Returns
    -------
    dict
        ``bitstream`` (file name), ``bitstream_bytes``, ``fmax_mhz``, ``constraint_mhz``,
        ``resources`` (used, available), ``seconds`` for each step, ``tools``, ``seed``.

    Raises
    ------
    InputError
        A program is missing, the design does not fit, or the platform cannot do what is asked.
    RuntimeError
        A program fails; the message ends with the last lines of its log.
    """
    flow = _Flow(platform, directory, progress or (lambda *_: None))
    work = {
        "generate Verilog": lambda: flow.prepare(make_top, part, seed),
        "synthesise": flow.synthesise,
        "place and route": flow.place_and_route,
        "make the bitstream": flow.make_bitstream,
    }
    seconds = {}
    for step, function in work.items():
        began = time.perf_counter()
        flow.progress(step, 0, 1, "")
        function()
        seconds[step] = round(time.perf_counter() - began, 1)
        flow.progress(step, 1, 1, "")
    return {
        **flow.results(),
        "seed": seed,
        "seconds": seconds,
        "tools": [tool.version for tool in (flow.yosys, flow.nextpnr, flow.packer)],
    }


class _Flow:
    """The steps from a top to a bitstream, in a folder."""

    def __init__(self, platform: Platform, directory: Path, progress: Progress) -> None:
        self.family = family_of(platform)
        self.yosys = toolchain.yosys()
        self.nextpnr = toolchain.nextpnr(self.family)
        self.packer = packer(self.family)
        self.platform, self.directory, self.progress = platform, directory, progress
        self._commands: list[list[str]] = []

    def prepare(
        self, make_top: Callable[[Platform], Elaboratable], part: Part | None, seed: int
    ) -> None:
        plan = self.platform.build(
            make_top(self.platform),
            name=_DESIGN,
            do_build=False,
            emit_src=False,
            synth_opts=_synthesis_options(part),
            nextpnr_opts=f"--seed {seed} --report {_REPORT} --timing-allow-fail",
        )
        _make_directories(self.directory)
        # Nothing of an earlier build may be taken for this one's.
        for suffix in (".json", ".asc", ".config", *BITSTREAM_SUFFIX.values()):
            (self.directory / f"{_DESIGN}{suffix}").unlink(missing_ok=True)
        (self.directory / _REPORT).unlink(missing_ok=True)
        plan.extract(self.directory)
        self._commands = json.loads(plan.files[f"build_{_DESIGN}.json"])["commands"]

    def synthesise(self) -> None:
        run_yosys(
            [f"script {_DESIGN}.ys"],
            self.directory,
            lambda name: self.progress("synthesise", 0, 1, name),
        )
        if self.family == "ice40":
            align_carries(self.directory / f"{_DESIGN}.json")

    def place_and_route(self) -> None:
        log = self.directory / "nextpnr.log"

        def watch(_: Sequence[int], __: int) -> None:
            text = _read(log)
            # Placing more than there is takes long to fail, if it does.
            _check_usage(text, self.platform.device)
            phases = [name for name, mark in _PHASES if mark in text]
            self.progress("place and route", 0, 1, (phases or [""])[0])

        status = self._run(self.nextpnr, self._commands[1], log, watch)
        text = _read(log)
        _check_usage(text, self.platform.device)
        if status:
            said = _ERROR.findall(text) or ["it said nothing"]
            raise RuntimeError(f"{self.nextpnr.name} failed: {said[0]}; see {log}")

    def make_bitstream(self) -> None:
        log = self.directory / f"{self.packer.name}.log"
        if self._run(self.packer, self._commands[2], log):
            raise RuntimeError("\n".join([f"{self.packer.name} failed:", *tail(log)]))

    def results(self) -> dict[str, object]:
        bitstream = self.directory / f"{_DESIGN}{BITSTREAM_SUFFIX[self.family]}"
        found = json.loads((self.directory / _REPORT).read_text())
        clocks, usage = found["fmax"].values(), found["utilization"]
        if not clocks:
            log = self.directory / "yosys.log"
            raise RuntimeError(f"synthesis has left nothing with a clock; see {log}")
        # The slowest, in relation to what is asked of it.
        slowest = min(clocks, key=lambda clock: clock["achieved"] / clock["constraint"])
        names = RESOURCES[self.family].items()
        return {
            "bitstream": bitstream.name,
            "bitstream_bytes": bitstream.stat().st_size,
            "fmax_mhz": round(slowest["achieved"], 2),
            "constraint_mhz": round(slowest["constraint"], 2),
            "resources": {name: usage[own] for name, own in names if own in usage},
        }

    def _run(
        self,
        tool: Tool,
        command: Sequence[str],
        log: Path,
        watch: Callable[[Sequence[int], int], None] | None = None,
    ) -> int:
        statuses = []
        job = Job(
            # The log comes from standard error; without it nothing would show how it goes.
            command=(*tool.command, *(a for a in command[1:] if a != "--quiet")),
            directory=self.directory,
            log=log,
            # In WebAssembly, a program sees little more than its own folder.
            environment={**os.environ, "TMPDIR": str(self.directory.absolute())},
        )
        try:
            run([job], watch=watch, ended=lambda _, end: statuses.append(end.status))
        finally:
            # Left behind if it was ended from outside.
            for temporary in self.directory.glob("yowasp_*"):
                shutil.rmtree(temporary, ignore_errors=True)
        return statuses[0]


def _synthesis_options(part: Part | None) -> str:
    if part is None:
        return ""
    return " ".join(part.synthesis.split()[1:])


def _check_usage(text: str, device: str) -> None:
    for name, used, available in _USAGE.findall(text):
        if int(used) > int(available):
            raise InputError(
                f"configuration does not fit {device}: {int(used):,} {name} needed,"
                f" {int(available):,} there"
            )


def _read(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""


def _make_directories(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be made a directory: {error.strerror}") from None
