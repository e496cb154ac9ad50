"""What commands print: tables, pictures, JSON, and progress."""

import json
import time
from collections.abc import Callable, Iterable, Sequence

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = [
    "Steps",
    "clean",
    "console",
    "files_size",
    "pictures",
    "print_json",
    "table",
]

_SHADES = " ░▒▓█"
_SHADES_ASCII = " .+*#"
_WIDE = 200


def clean(text: object) -> str:
    """Return text on one line, without what would act on a terminal."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(error: bool = False) -> Console:
    """Return a console for standard output or error, which takes text as it is."""
    made = _Console(stderr=error, markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        # Nothing in a file or a pipe is cut at the width of a terminal.
        made.width = _WIDE
    return made


def print_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> None:
    """Print a table.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : iterable of sequence
        Cells of each row.
    left : int
        How many of the first columns are text; the others are numbers.
    """
    made = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for number, heading in enumerate(columns):
        made.add_column(heading, justify="left" if number < left else "right")
    for row in rows:
        made.add_row(*map(clean, row))
    console().print(made)


def files_size(size: int) -> str:
    """Return a number of bytes for people."""
    if size < 1000:
        return f"{size:,} bytes"
    kilobytes = size / 1000
    return f"{kilobytes:.1f} kB" if kilobytes < 1000 else f"{kilobytes / 1000:.1f} MB"


def pictures(images: np.ndarray, captions: Sequence[str]) -> None:
    """Draw small grey images beside one another, in shades, two characters a pixel.

    Parameters
    ----------
    images : array, (N, H, W)
        The brightest value is the darkest shade.
    captions : sequence of str
        One line for each, no wider than its image.
    """
    out = console()
    shades = _SHADES_ASCII if out.options.ascii_only else _SHADES
    brightest = max(1, int(images.max()))
    levels = (images.astype(np.int64) * (len(shades) - 1) + brightest // 2) // brightest
    for y in range(images.shape[1]):
        out.print("   ".join("".join(shades[v] * 2 for v in image[y]) for image in levels))
    out.print("   ".join(caption.ljust(2 * images.shape[2]) for caption in captions))


class Steps:
    """Shows the steps of long work on standard error while they last, if that is a terminal.

    Called with a step, how much of it is done, of how much, and how it goes, in a few words if
    there is something to say. The total is None where it is not known. To be used in a ``with``.

    Parameters
    ----------
    finished : callable, optional
        Called with each step at its end, and the seconds that it took.
    """

    def __init__(self, finished: Callable[[str, float], None] | None = None) -> None:
        self._finished = finished
        self._step: str | None = None
        self._began = 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def __call__(self, step: str, done: int, total: int | None, text: str = "") -> None:
        if step != self._step:
            self._stop()
            self._start(step, total)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, text=text)
        if total is not None and done >= total:
            self._stop()
            if self._finished is not None:
                self._finished(step, time.perf_counter() - self._began)

    def _start(self, step: str, total: int | None) -> None:
        self._step = step
        self._began = time.perf_counter()
        out = console(error=True)
        if not out.is_terminal:
            return
        columns = [TextColumn("{task.description}", markup=False), BarColumn(pulse_style="cyan")]
        if total is None or total > 1:
            columns.append(MofNCompleteColumn())
        self._bar = Progress(
            *columns,
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=out,
            transient=True,
            # What is printed goes where it should go, and there is nothing to print meanwhile.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        # A single thing has no share that is done: its bar only moves.
        self._bar.add_task(step, total=None if total == 1 else total, text="")
        self._bar.start()

    def _stop(self) -> None:
        self._step = None
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
