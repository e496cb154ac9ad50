"""The commands `train` and `sweep`; they need the extra ``hiddenite[train]``."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from hiddenite.cli.display import Steps, clean, files_size, print_json, table
from hiddenite.cli.files import output, output_beside
from hiddenite.cli.options import Selected, configuration_option, json_option
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import PRESETS

__all__ = ["RECIPE_NAMES", "sweep", "train", "training_modules"]

RECIPE_NAMES = ("digits", "fashion", "cifar10", "cifar100", "images")
"""The recipes that are ready to use; known here without PyTorch."""

ARCHITECTURE_NAMES = (
    "digits_cnn", "fashion_cnn", "vgg_small", "resnet20", "resnet18", "resnet50"
)  # fmt: skip
"""The architectures; known here without PyTorch."""


class _Numbers(click.ParamType):
    name = "numbers"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"must be numbers with commas between them, not {value!r}", param, ctx)


@contextlib.contextmanager
def training_modules() -> Iterator[None]:
    """Say what to install where PyTorch or another package of the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"training must have the package {error.name!r}, which is not installed:"
            " pip install 'hiddenite[train]'"
        ) from None


_PRESETS = ("up5k", "ecp5-25f", "asic")

_config_option = configuration_option(
    default=None,
    help=f"What programs are for: preset or TOML file (default: the first of"
    f" {', '.join(_PRESETS)} that the network fits).",
)


def recipe_options(command):
    """Add the options that change a recipe; they arrive as `recipe_values`."""
    options = (
        click.option(
            "--architecture",
            type=click.Choice(ARCHITECTURE_NAMES),
            help="Topology, instead of the recipe's.",
        ),
        click.option(
            "--size", type=int, metavar="N", help="Height and width to bring images to."
        ),
        click.option("--epochs", type=int, metavar="E", help="Passes over the training images."),
        click.option("--batch", type=int, metavar="N", help="Images a step."),
        click.option("--learning-rate", type=float, metavar="R", help="The largest step size."),
        click.option(
            "--scope",
            type=click.Choice(("network", "layer")),
            help="What the density is counted over.",
        ),
        click.option("--ramp", type=float, metavar="F", help="Fraction of the epochs over which"
                     " the density falls from 1."),
        click.option("--seed", type=int, metavar="N", help="Start of everything random."),
        click.option(
            "--weight-seed", type=int, metavar="N", help="The network's seed: start of its signs."
        ),
        click.option(
            "--distill",
            type=float,
            metavar="F",
            help="Weight of the answers of a dense teacher of the same topology, 0 to 1; it is"
            " trained first.",
        ),
        click.option(
            "--precision",
            type=click.Choice(("float32", "bfloat16")),
            help="Of convolutions while training.",
        ),
        click.option("--threads", type=int, metavar="N", help="CPU threads."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def data_options(command):
    """Add the options that say where images come from."""
    options = (
        click.option(
            "--data",
            "folder",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Folder or archive of the data set.",
        ),
        click.option("--download", is_flag=True, help="Fetch the data set if it is not there."),
        click.option("--device", metavar="D", help="cpu, cuda, ... (default: a GPU if any)."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("recipe_name", metavar="RECIPE", type=click.Choice(RECIPE_NAMES))
@click.option("--density", type=float, metavar="D", help="Fraction of the weights to keep.")
@click.option(
    "--one-of", type=int, metavar="M", help="Keep one of every M weights of a row instead."
)
@click.option("--width", type=float, metavar="W", help="Factor of the channel counts.")
@recipe_options
@data_options
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The network (default: RECIPE.safetensors).",
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The dense teacher's checkpoint, to use it again; it is made if it is not there.",
)
@click.option(
    "--baseline",
    "baselines",
    type=click.Choice(("binary", "dense")),
    multiple=True,
    help="Train a network of the same topology with such weights alike; may be given twice.",
)
@click.option("--fresh", is_flag=True, help="Do not go on from an interrupted training.")
@_config_option
@json_option
def train(
    recipe_name: str,
    folder: Path | None,
    download: bool,
    device: str | None,
    path: Path | None,
    teacher: Path | None,
    baselines: tuple[str, ...],
    fresh: bool,
    selected: Selected | None,
    as_json: bool,
    **values: object,
) -> None:
    """Train a hidden network and write its file.

    An interrupted training goes on where its last epoch ended when the same command is given
    again. Several processes, on one machine or more: torchrun --no-python hiddenite train ...
    """
    with training_modules():
        from hiddenite.training.cost import cost_of, describe
        from hiddenite.training.datasets import load
        from hiddenite.training.processes import processes
        from hiddenite.training.recipe import RECIPES
        from hiddenite.training.run import run, untrained

    recipe = RECIPES[recipe_name].with_values(**values)
    path = Path(f"{recipe_name}.safetensors") if path is None else path
    checkpoints = output_beside(path, ".checkpoints")
    with processes(device) as group, contextlib.ExitStack() as stack:
        progress = stack.enter_context(Steps()) if group.first else None
        with training_modules():
            dataset = load(**_data(recipe, folder), download=download, progress=progress)
        # What is too large is refused before the long work.
        selected = _fitting(untrained(recipe, dataset), selected)
        if group.first:
            file = stack.enter_context(output(path))
            if fresh and checkpoints.exists():
                shutil.rmtree(checkpoints)
            _make_directory(checkpoints)
        group.wait()
        recipes = [recipe, *(recipe.of_kind(kind) for kind in dict.fromkeys(baselines))]
        outcomes = [
            run(each, dataset, group, folder=checkpoints, teacher=teacher, progress=progress)
            for each in recipes
        ]
        if not group.first:
            return
        network = outcomes[0].network
        cost = cost_of(network, selected.configuration)
        network.save(file.temporary)
    shutil.rmtree(checkpoints)
    report = [describe(outcome, cost) for outcome in outcomes]
    if as_json:
        print_json({"network": str(path), "configuration": selected.name, "trained": report})
    else:
        _print_report(path, selected, outcomes[0], report)


@click.command()
@click.argument("recipe_name", metavar="RECIPE", type=click.Choice(RECIPE_NAMES))
@click.option(
    "--densities",
    type=_Numbers(),
    metavar="D,D,...",
    default="0.02,0.05,0.1,0.2,0.3,0.5",
    show_default=True,
    help="Fractions of the weights to keep.",
)
@click.option(
    "--widths",
    type=_Numbers(),
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
@_config_option
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
        from hiddenite.training.plot import draw
        from hiddenite.training.recipe import RECIPES
        from hiddenite.training.run import untrained

    recipe = RECIPES[recipe_name].with_values(**values)
    points = sweeps.points_of(recipe, densities, widths, baselines=baselines)
    directory = Path(f"{recipe_name}-sweep") if directory is None else directory
    data = _data(recipe, folder)
    with Steps() as steps:
        with training_modules():
            dataset = load(**data, download=download, progress=steps)
        largest = recipe.with_values(width=max(widths), density=max(densities))
        selected = _fitting(untrained(largest, dataset), selected)
        _make_directory(directory)
        sweeps.sweep(points, directory, data=data, jobs=jobs, device=device, progress=steps)
    results = sweeps.collect(points, directory, selected.configuration)
    report = {
        "recipe": recipe.name,
        "configuration": selected.name,
        "torch": torch.__version__,
        "results": results,
    }
    with output(directory / "results.json") as file:
        file.write((json.dumps(report, indent=2) + "\n").encode())
    with output(directory / "sweep.png") as file:
        draw(results, file.temporary, title=f"{recipe.name}, {recipe.epochs} epochs")
    if as_json:
        print_json(report)
        return
    _print_sweep(results)
    smallest, baseline = sweeps.smallest_as_good(results)
    if smallest is not None:
        click.echo(
            f"\nsmallest program as accurate as the binary network of width 1"
            f" ({baseline['accuracy']:.2%}, {baseline['program_bytes']:,} bytes): width"
            f" {smallest['width']:g}, density {smallest['density']:g}, {smallest['accuracy']:.2%},"
            f" {smallest['program_bytes']:,} bytes,"
            f" {smallest['program_bytes'] / baseline['program_bytes']:.2f} of it"
        )
    elif baseline is not None:
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
            f"{row['program_bytes']:,}",
        ]
        for row in results
    ]
    columns = ["weights", "width", "density", "number", "in integers", "bits a weight"]
    table([*columns, "program bytes"], rows)


def _fitting(network: Network, selected: Selected | None) -> Selected:
    """Return the configuration that was given, or the first preset that a network fits."""
    candidates = [selected] if selected else [Selected(n, PRESETS[n]) for n in _PRESETS]
    for candidate in candidates:
        try:
            compile_network(network, candidate.configuration)
            return candidate
        except InputError as error:
            reason = error
    raise InputError(f"network for configuration {candidates[-1].name}: {reason}")


def _data(recipe, folder: Path | None) -> dict:
    if recipe.dataset == "images" and folder is None:
        raise InputError("recipe images must have a folder of images: --data DIR")
    return {"name": recipe.dataset, "folder": folder, "size": recipe.size}


def _make_directory(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a directory: {error.strerror}") from None


def _print_report(path: Path, selected: Selected, outcome, report: list[dict]) -> None:
    rows = [
        [
            row["kind"],
            f"{row['float_accuracy']:.2%}",
            f"{row['accuracy']:.2%}",
            f"{row['bits_per_weight']:.3f}",
            f"{row['program_bytes']:,}",
        ]
        for row in report
    ]
    table(["weights", "in float", "in integers", "bits a weight", "program bytes"], rows)
    worst = min(outcome.layer_agreement, key=outcome.layer_agreement.get)
    click.echo(
        f"\nintegers and trained model: {outcome.class_agreement:.2%} of the classes equal,"
        f" {outcome.layer_agreement[worst]:.3%} of the activations of {clean(worst)}, the worst"
        f" layer\n{clean(path)}: {files_size(path.stat().st_size)},"
        f" {report[0]['weights']:,} weights, {report[0]['kept']:,} kept; program for"
        f" {clean(selected.name)}: {files_size(report[0]['program_bytes'])}"
    )
