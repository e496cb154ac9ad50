"""From a top to a bitstream: synthesis, place and route, packing.

Amaranth writes the constraints and the scripts; Yosys, nextpnr and the packer are those that
`hiddenite.synthesis` finds.
"""

import importlib.util
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from amaranth.build import Platform
from amaranth.hdl import Elaboratable

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration
from hiddenite.synthesis import toolchain
from hiddenite.synthesis.netlist_passes import run_netlist_passes
from hiddenite.synthesis.nextpnr import RESOURCES, out_of_reach, routing_options, why_failed
from hiddenite.synthesis.parts import Part, memory_blocks
from hiddenite.synthesis.processes import Ended, Job, read_log, run, tail
from hiddenite.synthesis.toolchain import Tool
from hiddenite.synthesis.yosys import run_yosys

__all__ = ["BITSTREAM_SUFFIX", "build", "check_memories", "family_of", "packer"]

Progress = Callable[[str, int, int | None, str], None]

BITSTREAM_SUFFIX = {"ice40": ".bin", "ecp5": ".bit"}
_ROUTED_SUFFIX = {"ice40": ".asc", "ecp5": ".config"}
_PACKERS = {"ice40": "icepack", "ecp5": "ecppack"}
_DESIGN = "top"
_REPORT = "nextpnr.json"
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
    seeds: Sequence[int],
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
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
    seeds : sequence of int
        What nextpnr's random numbers begin with: it places and routes with each, and the fastest
        result is kept.
    jobs : int
        How many of them run at once.
    progress : callable, optional
        Called with a step, how much of it is done, of how much, and how it goes.

    Returns
    -------
    dict
        ``bitstream`` (file name), ``bitstream_bytes``, ``fmax_mhz``, ``constraint_mhz``,
        ``resources`` (used, available), ``seconds`` for each step, ``tools``; ``seed`` that is
        kept, and ``seeds``: each with its ``fmax_mhz``, None where nextpnr failed, and seconds.

    Raises
    ------
    InputError
        A program is missing, the design does not fit, or the platform cannot do what is asked.
    RuntimeError
        A program fails; the message ends with the last lines of its log.
    """
    flow = _Flow(platform, directory, progress or (lambda *_: None))
    work = {
        "generate Verilog": lambda: flow.prepare(make_top, part),
        "synthesise": flow.synthesise,
        "place and route": lambda: flow.place_and_route(seeds, jobs),
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
        self._seeds: list[dict[str, Any]] = []
        self._seed = 0

    def prepare(self, make_top: Callable[[Platform], Elaboratable], part: Part | None) -> None:
        _check_directory(self.directory)
        plan = self.platform.build(
            make_top(self.platform),
            name=_DESIGN,
            do_build=False,
            emit_src=False,
            synth_opts=_synthesis_options(part),
            nextpnr_opts=" ".join(
                [
                    f"--report {_REPORT} --timing-allow-fail",
                    *routing_options(self.family, self.nextpnr),
                ]
            ),
        )
        _make_directories(self.directory)
        # Nothing of an earlier build may be taken for this one's.
        for suffix in (".json", *_ROUTED_SUFFIX.values(), *BITSTREAM_SUFFIX.values()):
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
        run_netlist_passes(self.directory / f"{_DESIGN}.json", self.family)

    def place_and_route(self, seeds: Sequence[int], jobs: int) -> None:
        # What nextpnr writes, of each seed on its own.
        routed = f"{_DESIGN}{_ROUTED_SUFFIX[self.family]}"
        logs = [self.directory / f"nextpnr-{seed}.log" for seed in seeds]
        planned = []
        for seed, log in zip(seeds, logs, strict=True):
            own = {name: f"{seed}-{name}" for name in (routed, _REPORT)}
            arguments = [own.get(argument, argument) for argument in self._commands[1]]
            planned.append(self._job(self.nextpnr, [*arguments, "--seed", str(seed)], log))

        def watch(running: Sequence[int], done: int) -> None:
            doing = []
            for number in running:
                text = read_log(logs[number])
                # Placing more than there is takes long to fail, if it does.
                _check_usage(text, self.platform.device)
                phases = [name for name, mark in _PHASES if mark in text]
                doing.append(f"seed {seeds[number]}: {(phases or ['start'])[0]}")
            self.progress("place and route", done, len(seeds), ", ".join(doing))

        def ended(number: int, end: Ended) -> None:
            found: dict[str, Any] = {
                "seed": seeds[number],
                "fmax_mhz": None,
                "seconds": round(end.seconds, 1),
            }
            _check_usage(read_log(logs[number]), self.platform.device)
            if end.status == 0:
                report = json.loads((self.directory / f"{seeds[number]}-{_REPORT}").read_text())
                found["fmax_mhz"] = _slowest(report, self.directory)[0]
            self._seeds.append(found)

        def hopeless(number: int) -> bool:
            return out_of_reach(logs[number]) is not None

        self._run(planned, at_once=jobs, watch=watch, hopeless=hopeless, ended=ended)
        self._seeds.sort(key=lambda found: seeds.index(found["seed"]))
        fine = [found for found in self._seeds if found["fmax_mhz"] is not None]
        if not fine:
            raise RuntimeError(f"{self.nextpnr.name} failed: {why_failed(logs[0])}; see {logs[0]}")
        self._seed = max(fine, key=lambda found: found["fmax_mhz"])["seed"]
        for name in (routed, _REPORT):
            (self.directory / f"{self._seed}-{name}").replace(self.directory / name)
            for seed in seeds:
                (self.directory / f"{seed}-{name}").unlink(missing_ok=True)

    def make_bitstream(self) -> None:
        log = self.directory / f"{self.packer.name}.log"
        statuses = []
        command = self._commands[2]
        # Not every platform asks for it; a network is to lie behind the bitstream.
        if self.family == "ecp5" and "--compress" not in command:
            command = [*command, "--compress"]
        job = self._job(self.packer, command, log)
        self._run([job], ended=lambda _, end: statuses.append(end.status))
        if statuses != [0]:
            raise RuntimeError("\n".join([f"{self.packer.name} failed:", *tail(log)]))

    def results(self) -> dict[str, Any]:
        bitstream = self.directory / f"{_DESIGN}{BITSTREAM_SUFFIX[self.family]}"
        report = json.loads((self.directory / _REPORT).read_text())
        achieved, constraint = _slowest(report, self.directory)
        usage, names = report["utilization"], RESOURCES[self.family].items()
        return {
            "bitstream": bitstream.name,
            "bitstream_bytes": bitstream.stat().st_size,
            "fmax_mhz": achieved,
            "constraint_mhz": constraint,
            "resources": {name: usage[own] for name, own in names if own in usage},
            "seed": self._seed,
            "seeds": self._seeds,
        }

    def _job(self, tool: Tool, command: Sequence[str], log: Path) -> Job:
        return Job(
            # The log comes from standard error; without it nothing would show how it goes.
            command=(*tool.command, *(a for a in command[1:] if a != "--quiet")),
            directory=self.directory,
            log=log,
            # In WebAssembly, a program sees little more than its own folder.
            variables={"TMPDIR": str(self.directory.absolute())},
        )

    def _run(self, jobs: Sequence[Job], **options: Any) -> None:
        try:
            run(jobs, **options)
        finally:
            # Left behind if it was ended from outside.
            for temporary in self.directory.glob("yowasp_*"):
                shutil.rmtree(temporary, ignore_errors=True)


def _slowest(report: dict, directory: Path) -> tuple[float, float]:
    """Rate that the clock reaches which is the slowest in relation to what is asked, and that."""
    clocks = report["fmax"].values()
    if not clocks:
        raise RuntimeError(
            f"synthesis has left nothing with a clock; see {directory / 'yosys.log'}"
        )
    slowest = min(clocks, key=lambda clock: clock["achieved"] / clock["constraint"])
    return round(slowest["achieved"], 2), round(slowest["constraint"], 2)


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


def _check_directory(directory: Path) -> None:
    """Refuse, before any work, a directory that cannot be made or written into."""
    try:
        there = next(folder for folder in (directory, *directory.parents) if folder.exists())
        if not there.is_dir():
            _make_directories(directory)  # which says why it cannot
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{directory}: cannot be written into: {error.strerror}") from None


def _make_directories(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be made a directory: {error.strerror}") from None
