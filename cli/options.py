"""Options and arguments that several commands share."""

import os
from dataclasses import dataclass
from pathlib import Path

import click

from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import PRESETS, Configuration, load_configuration
from hiddenite.sim.compilers import SIMULATORS

__all__ = [
    "DEFAULT_CONFIGURATION",
    "Selected",
    "batch_option",
    "config_option",
    "configuration_option",
    "images_argument",
    "jobs_option",
    "json_option",
    "network_argument",
    "result_option",
    "simulator_option",
]

DEFAULT_CONFIGURATION = "up5k"


@dataclass(frozen=True)
class Selected:
    """A configuration and what the user calls it.

    Attributes
    ----------
    name : str
        A preset or a file.
    configuration : Configuration
    """

    name: str
    configuration: Configuration


class _ConfigurationType(click.ParamType):
    name = "C"

    def convert(self, value, param, ctx):
        if isinstance(value, Selected):
            return value
        return Selected(value, load_configuration(value))


class _NetworkType(click.ParamType):
    name = "NETWORK"

    def convert(self, value, param, ctx):
        return value if isinstance(value, Network) else Network.load(value)


def configuration_option(**attributes):
    """Return the option ``--config``, which arrives as `selected`."""
    return click.option(
        "--config", "selected", type=_ConfigurationType(), metavar="C", **attributes
    )


config_option = configuration_option(
    default=DEFAULT_CONFIGURATION,
    help=f"Preset ({', '.join(PRESETS)}) or TOML file (default: {DEFAULT_CONFIGURATION}).",
)
batch_option = click.option(
    "--batch",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    help="Images that a program runs at once, which need activation memory for all of them"
    " (default: 1).",
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    default=os.cpu_count() or 1,
    help="Seeds that run at once (default: the number of cores).",
)
simulator_option = click.option(
    "--simulator",
    type=click.Choice(SIMULATORS),
    default="verilator",
    help="Simulator (default: verilator).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
result_option = click.option(
    "-o",
    "--output",
    "result_path",
    type=click.Path(path_type=Path),
    metavar="RESULT.npy",
    help="Write the results to this file.",
)
network_argument = click.argument("network", type=_NetworkType(), metavar="NETWORK")
images_argument = click.argument(
    "images_path", type=click.Path(path_type=Path), metavar="IMAGES.npy"
)
