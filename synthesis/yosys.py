"""Runs Yosys in a process of its own: ``python -m hiddenite.synthesis.yosys COMMANDS.json``.

Yosys prints a lot, keeps the interpreter to itself while it works, and ends the process on errors.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from hiddenite.synthesis import toolchain
from hiddenite.synthesis.processes import Job, run, tail

__all__ = ["run_yosys"]

_HEADER = re.compile(r"^[\d.]+ Executing (\S.*?) (?:pass|backend|frontend)", re.M)
_HEADER_BYTES = 1 << 16


def run_yosys(
    commands: Sequence[str], directory: Path, watch: Callable[[str], None] | None = None
) -> None:
    """Run commands of Yosys.

    Parameters
    ----------
    commands : sequence of str
        One command each.
    directory : Path
        Where it runs; takes the commands and the log, too.
    watch : callable, optional
        Called several times a second with the name of the pass that runs.

    Raises
    ------
    InputError
        If Yosys is missing.
    RuntimeError
        If it fails; the message ends with the last lines of the log.
    """
    script, log = directory / "commands.json", directory / "yosys.log"
    script.write_text(json.dumps(list(commands)))
    statuses = []
    run(
        [Job(command=(*toolchain.yosys().command, script.name), directory=directory, log=log)],
        watch=None if watch is None else partial(_show_pass, log, watch),
        ended=lambda _, end: statuses.append(end.status),
    )
    if statuses != [0]:
        raise RuntimeError("\n".join(["Yosys failed:", *tail(log)]))


def _show_pass(log: Path, watch: Callable[[str], None], _: Sequence[int], __: int) -> None:
    """Tell the name of the pass that runs, the last one in the log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _HEADER_BYTES))
        if passes := _HEADER.findall(file.read().decode(errors="replace")):
            watch(passes[-1])


def _main(script: str) -> None:
    from pyosys import libyosys  # Only this process needs the extra.

    design = libyosys.Design()
    for command in json.loads(Path(script).read_text()):
        libyosys.run_pass(command, design)


if __name__ == "__main__":
    _main(*sys.argv[1:])
