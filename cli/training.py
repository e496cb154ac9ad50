"""The command `train`."""

import contextlib
import shutil
from pathlib import Path

import click

from hiddenite.cli.display import Steps, clean, files_size, print_json, table
from hiddenite.cli.files import Output, folders_of, make_folders, npy_bytes, output, output_beside
from hiddenite.cli.options import Selected, json_option
from hiddenite.cli.training_options import (
    Fit,
    any_config_option,
    check_fit,
    data_arguments,
    data_options,
    fitting,
    recipe_argument,
    recipe_options,
    training_modules,
)
from hiddenite.golden.errors import InputError

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
        from hiddenite.training.lock import alone
        from hiddenite.training.processes import processes
        from hiddenite.training.recipe import RECIPES

    _check_one_of(values)
    recipe = RECIPES[recipe_name].with_values(**values)
    if teacher is not None and not recipe.distill and "dense" not in baselines:
        raise InputError(f"--teacher {teacher} needs --distill or --baseline dense, which use it")
    path = Path(f"{recipe_name}.safetensors") if path is None else path
    checkpoints = output_beside(path, ".checkpoints")
    with processes(device) as group, contextlib.ExitStack() as stack:
        network_file = images_file = progress = None
        if group.first:
            # What cannot be written is found out before the long work.
            stack.enter_context(folders_of(path))
            stack.enter_context(alone(path, "let it end, or give another file with -o"))
            if teacher is not None and not teacher.exists():
                stack.enter_context(folders_of(teacher))
        with contextlib.ExitStack() as files:
            if group.first:
                network_file = files.enter_context(output(path))
                if images_path is not None:
                    images_file = files.enter_context(output(images_path))
                progress = files.enter_context(Steps())
            recipes = [recipe, *(recipe.of_kind(kind) for kind in dict.fromkeys(baselines))]
            outcomes = _outcomes(
                recipes,
                {**data_arguments(recipe, folder), "download": download},
                group,
                checkpoints,
                teacher=teacher,
                fresh=fresh,
                given=selected,
                images_file=images_file,
                progress=progress,
            )
            if network_file is None:  # not the first process
                return
            network = outcomes[0].network
            network.save(network_file.temporary)
        shutil.rmtree(checkpoints)
    # Trained numbers are larger than those at first: what did fit may not fit any more.
    fit = fitting(network, selected)
    cost = cost_of(network, fit.configuration)
    report = [describe(outcome, cost) for outcome in outcomes]
    if as_json:
        print_json({"network": str(path), **fit.facts(), "trained": report})
    else:
        _print_report(path, fit, outcomes[0], report)


def _check_one_of(values: dict[str, object]) -> None:
    """Refuse options that would change nothing beside `--one-of`."""
    if values["one_of"] is not None:
        for name in ("density", "scope", "ramp"):
            if values[name] is not None:
                raise InputError(
                    f"--{name} cannot be given with --one-of: one of every M weights is kept all"
                    " the time, in every row"
                )


def _outcomes(
    recipes: list,
    data: dict,
    group,
    checkpoints: Path,
    *,
    teacher: Path | None,
    fresh: bool,
    given: Selected | None,
    images_file: Output | None,
    progress: Steps | None,
) -> list:
    """Train each recipe, the first of which is that of the network itself."""
    with training_modules():
        from hiddenite.training.datasets import load
        from hiddenite.training.run import run, untrained

        dataset = load(**data, progress=progress)
    # What is too large is refused before the long work.
    check_fit(untrained(recipes[0], dataset), given, quiet=not group.first)
    with contextlib.ExitStack() as stack:
        if group.first:
            if images_file is not None:
                images = dataset.test.batch(range(min(TEST_IMAGES, len(dataset.test))))
                images_file.write(npy_bytes(images))
            if fresh and checkpoints.exists():
                shutil.rmtree(checkpoints)
            stack.enter_context(make_folders(checkpoints))
        group.wait()
        return [
            run(each, dataset, group, folder=checkpoints, teacher=teacher, progress=progress)
            for each in recipes
        ]


def _print_report(path: Path, fit: Fit, outcome, report: list[dict]) -> None:
    rows = [
        [
            row["kind"],
            f"{row['float_accuracy']:.2%}",
            f"{row['accuracy']:.2%}",
            f"{row['bits_per_weight']:.3f}",
            "none" if row["program_bytes"] is None else f"{row['program_bytes']:,}",
        ]
        for row in report
    ]
    table(["weights", "in float", "in integers", "bits a weight", "program bytes"], rows)
    worst = min(outcome.layer_agreement, key=outcome.layer_agreement.get)
    hidden = report[0]
    if fit.selected is None:
        program = f"no program: {clean(fit.reason)}"
    else:
        size = files_size(hidden["program_bytes"])
        program = f"program for {clean(fit.selected.name)}: {size}"
    click.echo(
        f"\nintegers and trained model: {outcome.class_agreement:.2%} of the classes equal,"
        f" {outcome.layer_agreement[worst]:.3%} of the activations of {clean(worst)}, the worst"
        f" layer\n{clean(path)}: {files_size(path.stat().st_size)},"
        f" {hidden['weights']:,} weights, {hidden['kept']:,} kept"
        f" ({hidden['kept_density']:.1%}); {program}"
    )
