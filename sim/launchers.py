"""Starts compiled simulators, as cocotb's runners do, but quietly and with somebody watching."""

import contextlib
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

from cocotb_tools import runner

__all__ = ["failure", "launcher"]

_LOG_TAIL = 30
_POLL_SECONDS = 0.1
_RANDOM_START = ("+verilator+rand+reset+2", "+verilator+seed+1")
"""What has no initial value, contents of memories among it, begins as anything, not as 0."""


def launcher(simulator: str, watch: Callable[[], None] = lambda: None) -> runner.Runner:
    """Return cocotb's runner of a simulator, "verilator" or "icarus".

    Parameters
    ----------
    simulator : str
    watch : callable
        Called several times a second while the simulator runs.
    """
    return (_Verilator if simulator == "verilator" else _Icarus)(watch)


def failure(message: str, log: Path) -> RuntimeError:
    """Return an error that ends with the last lines of the simulator's log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return RuntimeError("\n".join([message, *lines[-_LOG_TAIL:]]))


class _Watched:
    """Part of a cocotb runner: runs quietly and calls a function several times a second."""

    def __init__(self, watch: Callable[[], None]) -> None:
        super().__init__()
        self._watch = watch
        self.log.setLevel(logging.CRITICAL)

    def _execute_cmds(self, cmds, cwd, stdout=None):
        for command in cmds:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
            )
            try:
                while process.poll() is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL_SECONDS)
                    self._watch()
            finally:
                # An interrupt, or an error in the caller's function, leaves nothing running.
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if process.returncode:
                raise failure(
                    f"the simulator ended with status {process.returncode}", Path(self.log_file)
                )


class _Verilator(_Watched, runner.Verilator):
    def _test_command(self):
        return [[*command, *_RANDOM_START] for command in super()._test_command()]


class _Icarus(_Watched, runner.Icarus):
    def _test_command(self):
        # cocotb knows FST only; the option at the end says in what format to write.
        vcd = any(argument.endswith(".vcd") for argument in self.plusargs)
        commands = super()._test_command()
        return [[a if a != "-fst" or not vcd else "-vcd" for a in c] for c in commands]
