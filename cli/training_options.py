"""What `train` and `sweep` share; they need the extra ``hiddenite[train]``."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import click

from hiddenite.cli.display import clean
from hiddenite.cli.extras import packages_of
from hiddenite.cli.options import Selected, configuration_option
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import PRESETS, Configuration

__all__ = [
    "ARCHITECTURE_NAMES",
    "RECIPE_NAMES",
    "Fit",
    "any_config_option",
    "check_fit",
    "data_arguments",
    "data_options",
    "fitting",
    "recipe_argument",
    "recipe_options",
    "training_modules",
]

RECIPE_NAMES = ("digits", "fashion", "cifar10", "cifar100", "images")
"""The recipes that are ready to use; known here without PyTorch."""

ARCHITECTURE_NAMES = (
    "digits_cnn", "fashion_cnn", "vgg_small", "ds_cnn", "mobilenet_v1", "mobilenet_v2",
    "resnet8", "resnet20", "resnet18", "resnet50"
)  # fmt: skip
"""The architectures; known here without PyTorch."""


def training_modules() -> contextlib.AbstractContextManager[None]:
    """Say what to install where PyTorch or another package of the extra is missing."""
    return packages_of("train", "training")


_PRESETS = ("up5k", "ecp5-25f", "asic")

any_config_option = configuration_option(
    default=None,
    help=f"What programs are for: preset or TOML file (default: the first of"
    f" {', '.join(_PRESETS)} that the network fits, or none).",
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


@dataclass(frozen=True)
class Fit:
    """What a network's program is compiled for.

    Attributes
    ----------
    selected : Selected or None
        The configuration; None if there is none.
    reason : str or None
        Why there is none.
    """

    selected: Selected | None
    reason: str | None = None

    @property
    def configuration(self) -> Configuration | None:
        """The configuration itself."""
        return None if self.selected is None else self.selected.configuration

    def facts(self) -> dict[str, object]:
        """Return what is said of it in JSON."""
        name = None if self.selected is None else self.selected.name
        return {"configuration": name, "no_program": self.reason}


def fitting(network: Network, given: Selected | None) -> Fit:
    """Find the configuration for a network: the one that was given, or the first preset it fits."""
    candidates = [given] if given else [Selected(n, PRESETS[n]) for n in _PRESETS]
    for candidate in candidates:
        try:
            compile_network(network, candidate.configuration)
            return Fit(candidate)
        except InputError as error:
            reason = f"network for configuration {candidate.name}: {error}"
    return Fit(None, reason if given else f"no preset holds the network; {reason}")


def check_fit(network: Network, given: Selected | None, *, quiet: bool = False) -> None:
    """Refuse, before the long work, a configuration that was given and is too small.

    Where none was given and no preset holds the network, it can be trained all the same, and this
    says that there will be no program.
    """
    fit = fitting(network, given)
    if fit.selected is None:
        if given is not None:
            raise InputError(fit.reason)
        if not quiet:
            click.echo(f"hiddenite: there will be no program size: {clean(fit.reason)}", err=True)


def data_arguments(recipe, folder: Path | None) -> dict:
    """Return the arguments for `hiddenite.training.datasets.load`."""
    if recipe.dataset == "images" and folder is None:
        raise InputError("recipe images must have a folder of images: --data DIR")
    return {"name": recipe.dataset, "folder": folder, "size": recipe.size}
