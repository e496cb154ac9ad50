"""Finds the programs of synthesis, place and route."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from hiddenite.golden.errors import InputError

__all__ = ["Tool", "nextpnr", "yosys", "yosys_share"]

_REMEDY = "install it with `pip install 'hiddenite[build]'`"


@dataclass(frozen=True)
class Tool:
    """A program.

    Parameters
    ----------
    name : str
        Name of the program.
    command : tuple of str
        How it is started; its arguments follow.
    version : str
        Its name and version, and how it runs where that is not native code.
    """

    name: str
    command: tuple[str, ...]
    version: str


def yosys() -> Tool:
    """Find Yosys, as the Python package pyosys; its argument is a file of commands in JSON.

    Raises
    ------
    InputError
        If the package is missing.
    """
    yosys_share()
    command = (sys.executable, "-m", "hiddenite.synthesis.yosys")
    return Tool("yosys", command, f"Yosys {metadata.version('pyosys')} (pyosys)")


def yosys_share() -> Path:
    """Return the folder of Yosys's cell models.

    Raises
    ------
    InputError
        If the package pyosys is missing.
    """
    spec = importlib.util.find_spec("pyosys")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"pyosys is not installed: {_REMEDY}")
    return Path(next(iter(spec.submodule_search_locations))) / "share"


def nextpnr(family: str) -> Tool:
    """Find nextpnr: a native one on PATH, or the one in WebAssembly from PyPI.

    Parameters
    ----------
    family : str
        "ice40" or "ecp5".

    Raises
    ------
    InputError
        If there is neither.
    """
    name = f"nextpnr-{family}"
    if native := shutil.which(name):
        return Tool(name, (native,), f"{name} {_version(native)} (native)")
    package = f"yowasp_nextpnr_{family}"
    if importlib.util.find_spec(package) is None:
        raise InputError(f"{name} is not installed: {_REMEDY}, or put a native one on PATH")
    # Not the script of that name: it need not be on PATH.
    code = f"import sys, {package} as p; sys.exit(p.run_nextpnr_{family}(sys.argv[1:]))"
    version = metadata.version(package.replace("_", "-"))
    return Tool(name, (sys.executable, "-c", code), f"{name} {version} (YoWASP, WebAssembly)")


@cache
def _version(path: str) -> str:
    # Says: "nextpnr-ice40" -- Next Generation Place and Route (Version nextpnr-0.9)
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return (done.stderr + done.stdout).strip().partition("(Version ")[2].rstrip(")") or "unknown"
