"""Starts compiled simulators with cocotb inside, quietly and with somebody watching."""

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

import find_libpython
from cocotb_tools import config

from hiddenite.sim.compilers import TOP
from hiddenite.sim.environment import environment

__all__ = ["failure", "launch"]

_LOG_TAIL = 30
_POLL_SECONDS = 0.1
_STOP_SECONDS = 10
_RANDOM_START = ("+verilator+rand+reset+2", "+verilator+seed+1")
"""What has no initial value, contents of memories among it, begins as anything, not as 0."""


def launch(
    simulator: str,
    build: Path,
    work: Path,
    log: Path,
    *,
    testbench: str,
    variables: dict[str, str],
    waves: Path | None = None,
    watch: Callable[[], None] = lambda: None,
    stop: Callable[[], None] | None = None,
) -> None:
    """Run a simulator to its end. An exception, an interrupt among them, leaves none behind.

    Parameters
    ----------
    simulator : str
        "verilator" or "icarus".
    build : Path
        Folder of the compiled simulator.
    work : Path
        Folder that it runs in.
    log : Path
        File for all that it prints.
    testbench : str
        The module with cocotb's test.
    variables : dict of str to str
        Of the environment, for the test.
    waves : Path, optional
        File for the waveforms, ending in .fst or .vcd.
    watch : callable, optional
        Called several times a second while the simulator runs.
    stop : callable, optional
        Makes the test end soon. It is called before the simulator would be killed, so that the
        waveforms are whole up to there.

    Raises
    ------
    RuntimeError
        If the simulator fails; the message ends with the last lines of the log.
    """
    command = _verilator(build, waves) if simulator == "verilator" else _icarus(build, waves)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=_environment(work, testbench, variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # The terminal's interrupt goes to this process alone, which then ends the simulator.
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
            watch()
    finally:
        try:
            if stop is not None and process.poll() is None:
                stop()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if waves is not None and process.returncode < 0:
                _remove_unclosed(waves)
    if process.returncode:
        raise failure(f"the simulator ended with status {process.returncode}", log)


def _remove_unclosed(waves: Path) -> None:
    """Remove waveforms that nothing can read, as a simulator leaves them that is killed.

    VCD is text, which is readable as far as it goes. FST is not before it has been closed; until
    then there is a second file.
    """
    names = Path(f"{waves}.hier")
    unclosed = waves.suffix == ".fst" and names.exists()
    if unclosed or (waves.exists() and not waves.stat().st_size):
        for path in (waves, names):
            path.unlink(missing_ok=True)


def failure(message: str, log: Path) -> RuntimeError:
    """Return an error that ends with the last lines of the simulator's log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return RuntimeError("\n".join([message, *lines[-_LOG_TAIL:]]))


def _verilator(build: Path, waves: Path | None) -> Sequence[str]:
    traced = [] if waves is None else ["--trace", "--trace-file", str(waves)]
    return [str(build / TOP), *traced, *_RANDOM_START]


def _icarus(build: Path, waves: Path | None) -> Sequence[str]:
    traced = ["-none"]
    if waves is not None:
        traced = [f"+dumpfile_path={waves}", f"-{waves.suffix[1:]}"]
    return ["vvp", "-m", config.lib_entry("vpi", "icarus"), str(build / "sim.vvp"), *traced]


def _environment(work: Path, testbench: str, variables: dict[str, str]) -> dict[str, str]:
    """What cocotb's own runners set, without what they take from the user's environment."""
    library = find_libpython.find_libpython()
    if library is None:
        raise RuntimeError("Python's shared library is missing, which a simulator needs")
    own = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": ";".join([library, _entry_point()]),
        "COCOTB_TOPLEVEL": TOP,
        "COCOTB_TEST_MODULES": testbench,
        "COCOTB_RESULTS_FILE": str(work / "results.xml"),
        "COCOTB_ANSI_OUTPUT": "0",
        "TOPLEVEL_LANG": "verilog",
    }
    clean = environment(**own, **variables)
    clean["PATH"] += os.pathsep + str(config.libs_dir)
    return clean


def _entry_point() -> str:
    """`cocotb_tools.config.pygpi_entry_point`, without its import of cocotb: see `between`."""
    package = importlib.util.find_spec("cocotb")
    assert package is not None, "cocotb comes with cocotb_tools"
    module = PathFinder.find_spec("cocotb.simulator", package.submodule_search_locations)
    assert module is not None and module.origin is not None, "a file of cocotb's"
    return f"{Path(module.origin).resolve()},initialize"
