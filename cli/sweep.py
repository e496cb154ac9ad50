"""The command `sweep`."""

import json
import os
from pathlib import Path

import click

from hiddenite.cli.display import Steps, clean, print_json, table
from hiddenite.cli.files import make_folders, output
from hiddenite.cli.options import Selected, json_option
from hiddenite.cli.training_options import (
    any_config_option,
    check_fit,
    data_arguments,
    data_options,
    fitting,
    recipe_argument,
    recipe_options,
    training_modules,
)

__all__ = ["sweep"]


class Numbers(click.ParamType):
    name = "numbers"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"must be numbers with commas between them, not {value!r}", param, ctx)


@click.command()
@recipe_argument
@click.option(
    "--densities",
    type=Numbers(),
    metavar="D,D,...",
    default="0.02,0.05,0.1,0.2,0.3,0.5",
    show_default=True,
    help="Fractions of the weights to keep.",
)
@click.option(
    "--widths",
    type=Numbers(),
    metavar="W,W,...",
    default="0.5,1,2",
    show_default=True,
    help="Factors of the channel counts.",
)
@click.option(
    "--baselines/--no-baselines",
    default=True,
    show_default=True,
    help="A dense and a binary network of each width.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    default=os.cpu_count(),
    help="Networks to train at once (default: one for each core).",
)
@recipe_options
@data_options
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="For results and the plot (default: RECIPE-sweep); a sweep that is there goes on.",
)
@any_config_option
@json_option
def sweep(
    recipe_name: str,
    densities: tuple[float, ...],
    widths: tuple[float, ...],
    baselines: bool,
    jobs: int,
    folder: Path | None,
    download: bool,
    device: str | None,
    directory: Path | None,
    selected: Selected | None,
    as_json: bool,
    **values: object,
) -> None:
    """Train at many densities and widths, and compare what comes out.

    Writes DIR/results.json and DIR/sweep.png. Networks that are done are not trained again.
    """
    with training_modules():
        import torch

        from hiddenite.training import sweep as sweeps
        from hiddenite.training.datasets import load
        from hiddenite.training.lock import alone
        from hiddenite.training.plot import draw
        from hiddenite.training.recipe import RECIPES
        from hiddenite.training.run import untrained

    recipe = RECIPES[recipe_name].with_values(**values)
    points = sweeps.points_of(recipe, densities, widths, baselines=baselines)
    directory = Path(f"{recipe_name}-sweep") if directory is None else directory
    data = data_arguments(recipe, folder)
    with (
        # What cannot be written is found out before the long work.
        make_folders(directory),
        alone(directory, "let it end, or give another directory with -o"),
        output(directory / "results.json") as results_file,
        output(directory / "sweep.png") as picture_file,
        Steps() as steps,
    ):
        with training_modules():
            dataset = load(**data, download=download, progress=steps)
        largest = untrained(recipe.with_values(width=max(widths), density=max(densities)), dataset)
        check_fit(largest, selected)
        sweeps.sweep(points, directory, data=data, jobs=jobs, device=device, progress=steps)
        fit = fitting(largest, selected)
        results = sweeps.collect(points, directory, fit.configuration)
        report = {
            "recipe": recipe.name,
            **fit.facts(),
            "torch": torch.__version__,
            "results": results,
        }
        results_file.write((json.dumps(report, indent=2) + "\n").encode())
        draw(results, picture_file.temporary, title=f"{recipe.name}, {recipe.epochs} epochs")
    if as_json:
        print_json(report)
        return
    _print_sweep(results)
    for row in results:
        if fit.selected is not None and row["no_program"] is not None:
            click.echo(
                f"\nwidth {row['width']:g}, density {row['density']:g}: no program for"
                f" {clean(fit.selected.name)}: {clean(row['no_program'])}"
            )
    smallest, baseline = sweeps.smallest_as_good(results)
    if baseline is None:
        pass
    elif baseline["program_bytes"] is None:
        click.echo(f"\nno programs to compare: {clean(fit.reason)}")
    elif smallest is not None:
        click.echo(
            f"\nsmallest program as accurate as the binary network of width 1"
            f" ({baseline['accuracy']:.2%}, {baseline['program_bytes']:,} bytes): width"
            f" {smallest['width']:g}, density {smallest['density']:g}, {smallest['accuracy']:.2%},"
            f" {smallest['program_bytes']:,} bytes,"
            f" {smallest['program_bytes'] / baseline['program_bytes']:.2f} of it"
        )
    else:
        click.echo("\nno hidden network is as accurate as the binary one of width 1")
    click.echo(f"\nresults: {clean(directory / 'results.json')}, {clean(directory / 'sweep.png')}")


def _print_sweep(results: list[dict]) -> None:
    rows = [
        [
            row["kind"],
            f"{row['width']:g}",
            f"{row['density']:g}" if row["kind"] == "hidden" else "",
            f"{row['weights']:,}",
            f"{row['accuracy']:.2%}",
            f"{row['bits_per_weight']:.3f}",
            "none" if row["program_bytes"] is None else f"{row['program_bytes']:,}",
        ]
        for row in results
    ]
    columns = ["weights", "width", "density", "number", "in integers", "bits a weight"]
    table([*columns, "program bytes"], rows)
