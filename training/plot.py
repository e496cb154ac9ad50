"""Draws a sweep: accuracy against the bytes of the program, and against bits a weight."""

import math
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

MARKERS = {"binary": "s", "dense": "D"}


def draw(results, path, *, title):
    """Draw a sweep as a PNG file.

    Left: test accuracy over the bytes of the whole program, one line for each width, beside the
    binary and dense networks of the same topology; networks without a program are not there.
    Right: over the coded bits of a weight, with the line of one bit a weight, which a binary
    network takes; numbers are densities.

    Parameters
    ----------
    results : list of dict
        What `hiddenite.training.sweep.collect` returned.
    path : path-like
        The file.
    title : str
        What was trained.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    widths = sorted({result["width"] for result in results})
    for number, width in enumerate(widths):
        colour = f"C{number}"
        hidden = sorted(
            (r for r in results if r["width"] == width and r["kind"] == "hidden"),
            key=lambda r: r["bits_per_weight"],
        )
        accuracies = [100 * r["accuracy"] for r in hidden]
        label = f"hidden, width {width:g}"
        left.plot(
            [_number(r["program_bytes"]) for r in hidden],
            accuracies,
            "o-",
            color=colour,
            label=label,
        )
        right.plot(
            [r["bits_per_weight"] for r in hidden], accuracies, "o-", color=colour, label=label
        )
        if width == widths[-1]:
            for x, y, result in zip(
                [r["bits_per_weight"] for r in hidden], accuracies, hidden, strict=True
            ):
                right.annotate(
                    f"{result['density']:g}",
                    (x, y),
                    textcoords="offset points",
                    xytext=(0, 7),
                    ha="center",
                    fontsize=7,
                    color=colour,
                )
        for result in results:
            if result["width"] == width and result["kind"] in MARKERS:
                left.plot(
                    _number(result["program_bytes"]),
                    100 * result["accuracy"],
                    MARKERS[result["kind"]],
                    color=colour,
                    markerfacecolor="white",
                    markersize=8,
                    label=f"{result['kind']}, width {width:g}",
                )
                if result["kind"] == "binary":
                    right.plot(
                        1,
                        100 * result["accuracy"],
                        MARKERS["binary"],
                        color=colour,
                        markerfacecolor="white",
                        markersize=8,
                    )
    right.axvline(1, color="grey", linestyle="--", linewidth=1)
    right.annotate(
        "one bit a weight",
        (1, 0.02),
        xycoords=("data", "axes fraction"),
        rotation=90,
        ha="right",
        va="bottom",
        fontsize=8,
        color="grey",
    )
    if any(result["program_bytes"] is not None for result in results):
        left.set_xscale("log")
        left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        left.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        left.xaxis.set_minor_formatter(NullFormatter())
    left.set_xlabel("bytes of the program")
    left.set_ylabel("test accuracy in integers, %")
    right.set_xlabel("coded mask bits a weight")
    left.legend(fontsize=7)
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
    figure.suptitle(title)
    figure.savefig(Path(path), dpi=120, format="png", metadata={"Software": None})


def _number(size):
    """Return a size as a number that is not drawn if there is none."""
    return math.nan if size is None else size
