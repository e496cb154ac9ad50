"""Runs programs, several at once, and leaves none behind."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hiddenite.sim.environment import environment

__all__ = ["Job", "read_log", "run", "tail"]

_POLL_SECONDS = 0.1
_TAIL_LINES = 30
_TAIL_BYTES = 8192


@dataclass(frozen=True, kw_only=True)
class Job:
    """A program to run.

    Parameters
    ----------
    command : tuple of str
        Program and arguments.
    directory : Path
        Where it runs.
    log : Path
        File for all that it prints.
    variables : dict of str to str
        Of its environment, beside what all programs get.
    """

    command: tuple[str, ...]
    directory: Path
    log: Path
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status, and the seconds it took."""

    status: int
    seconds: float


def run(
    jobs: Sequence[Job],
    *,
    at_once: int = 1,
    watch: Callable[[Sequence[int], int], None] | None = None,
    hopeless: Callable[[int], bool] | None = None,
    ended: Callable[[int, Ended], None] | None = None,
) -> None:
    """Run programs; an exception, an interrupt among them, ends those that still run.

    Parameters
    ----------
    jobs : sequence of Job
        Started in this order.
    at_once : int
        How many run side by side.
    watch : callable, optional
        Called several times a second with the numbers of the jobs that run, and how many are done.
    hopeless : callable, optional
        Called several times a second with the number of each job that runs; True ends it.
    ended : callable, optional
        Called with the number of a job when it has ended.
    """
    waiting = list(enumerate(jobs))
    running: dict[int, tuple[subprocess.Popen, float]] = {}
    done = 0
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number, job = waiting.pop(0)
                running[number] = _start(job), time.perf_counter()
            with contextlib.suppress(subprocess.TimeoutExpired):
                next(iter(running.values()))[0].wait(_POLL_SECONDS)
            for number, (process, began) in list(running.items()):
                if hopeless is not None and process.poll() is None and hopeless(number):
                    process.kill()
                    process.wait()
                if (status := process.poll()) is not None:
                    del running[number]
                    done += 1
                    if ended is not None:
                        ended(number, Ended(status, time.perf_counter() - began))
            if watch is not None:
                watch(list(running), done)
    finally:
        for process, _ in running.values():
            process.kill()
        for process, _ in running.values():
            process.wait()


def _start(job: Job) -> subprocess.Popen:
    with job.log.open("wb") as log:
        return subprocess.Popen(
            job.command,
            cwd=job.directory,
            env=environment(**job.variables),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # The terminal's interrupt goes to this process alone, which then ends them all.
            start_new_session=True,
        )


def read_log(log: Path) -> str:
    """Return what a log has so far, which may be nothing."""
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""


def tail(log: Path) -> list[str]:
    """Return the last lines of a log, which may still be written."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-_TAIL_LINES:]
