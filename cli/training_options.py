"""What `train` and `sweep` share; they need the extra ``hiddenite[train]``."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from hiddenite.cli.options import Selected, configuration_option
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.rtl.presets import PRESETS

__all__ = [
    "ARCHITECTURE_NAMES",
    "RECIPE_NAMES",
    "any_config_option",
    "data_arguments",
    "data_options",
    "fitting",
    "make_folder",
    "recipe_argument",
    "recipe_options",
    "training_modules",
]

RECIPE_NAMES = ("digits", "fashion", "cifar10", "cifar100", "images")
"""The recipes that are ready to use; known here without PyTorch."""

ARCHITECTURE_NAMES = (
    "digits_cnn", "fashion_cnn", "vgg_small", "resnet20", "resnet18", "resnet50"
)  # fmt: skip
"""The architectures; known here without PyTorch."""


@contextlib.contextmanager
def training_modules() -> Iterator[None]:
    """Say what to install where PyTorch or another package of the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("hiddenite"):
            raise
        raise InputError(
            f"training must have the package {error.name!r}, which is not installed:"
            " pip install 'hiddenite[train]'"
        ) from None


_PRESETS = ("up5k", "ecp5-25f", "asic")

any_config_option = configuration_option(
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


recipe_argument = click.argument("recipe_name", metavar="RECIPE", type=click.Choice(RECIPE_NAMES))


def fitting(network: Network, selected: Selected | None) -> Selected:
    """Return the configuration that was given, or the first preset that a network fits."""
    candidates = [selected] if selected else [Selected(n, PRESETS[n]) for n in _PRESETS]
    for candidate in candidates:
        try:
            compile_network(network, candidate.configuration)
            return candidate
        except InputError as error:
            reason = error
    raise InputError(f"network for configuration {candidates[-1].name}: {reason}")


def data_arguments(recipe, folder: Path | None) -> dict:
    """Return the arguments for `hiddenite.training.datasets.load`."""
    if recipe.dataset == "images" and folder is None:
        raise InputError("recipe images must have a folder of images: --data DIR")
    return {"name": recipe.dataset, "folder": folder, "size": recipe.size}


def make_folder(folder: Path) -> None:
    """Make a folder, unless there is one; what is in it stays when something goes wrong."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a directory: {error.strerror}") from None
