"""The command `train`."""

import contextlib
import shutil
from pathlib import Path

import click

from hiddenite.cli.display import Steps, clean, files_size, print_json, table
from hiddenite.cli.files import npy_bytes, output, output_beside
from hiddenite.cli.options import Selected, json_option
from hiddenite.cli.training_options import (
    any_config_option,
    data_arguments,
    data_options,
    fitting,
    make_folder,
    recipe_argument,
    recipe_options,
    training_modules,
)

__all__ = ["train"]

TEST_IMAGES = 100
"""How many test images are written, if they are asked for."""


@click.command()
@recipe_argument
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
    "--test-images",
    "images_path",
    type=click.Path(path_type=Path),
    metavar="IMAGES.npy",
    help=f"Write the first {TEST_IMAGES} test images too, to infer and to simulate.",
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
@any_config_option
@json_option
def train(
    recipe_name: str,
    folder: Path | None,
    download: bool,
    device: str | None,
    path: Path | None,
    images_path: Path | None,
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
            dataset = load(**data_arguments(recipe, folder), download=download, progress=progress)
        # What is too large is refused before the long work.
        selected = fitting(untrained(recipe, dataset), selected)
        if group.first:
            file = stack.enter_context(output(path))
            if images_path is not None:
                images = dataset.test.batch(range(min(TEST_IMAGES, len(dataset.test))))
                stack.enter_context(output(images_path)).write(npy_bytes(images))
            if fresh and checkpoints.exists():
                shutil.rmtree(checkpoints)
            make_folder(checkpoints)
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
