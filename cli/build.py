"""Command about boards: `build`."""

from dataclasses import replace
from pathlib import Path
from statistics import median

import click

from hiddenite.boards.boards import BOARDS, Board, find_board, part_of
from hiddenite.boards.project import Project, load_platform
from hiddenite.cli.design import describe_array
from hiddenite.cli.display import Steps, clean, files_size, print_json, table
from hiddenite.cli.options import Selected, configuration_option, jobs_option, json_option
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network

__all__ = ["build"]

_WORDS = {
    "logic_cells": "logic cells",
    "flip_flops": "flip-flops",
    "block_ram": "block RAM",
    "single_port_ram": "SPRAM",
    "dsp": "DSP",
}


class _Address(click.ParamType):
    name = "ADDRESS"

    def convert(self, value, param, ctx):
        try:
            return value if isinstance(value, int) else int(value, 0)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)


@click.command("build")
@click.argument("board_name", metavar="[BOARD]", required=False)
@click.option("--list", "show_list", is_flag=True, help="Show the boards instead.")
@click.option(
    "--platform",
    "platform_name",
    metavar="MODULE:CLASS",
    help="Your own amaranth.build.Platform in place of BOARD; also FILE.py:CLASS.",
)
@configuration_option(help="Preset or TOML file (default: the board's).")
@click.option(
    "--clock",
    "clock_mhz",
    type=click.FloatRange(0, min_open=True),
    metavar="MHZ",
    help="Clock of the engine (default: the board's).",
)
@click.option(
    "--baud", type=click.IntRange(1), metavar="B", help="Rate of the UART (default: the board's)."
)
@click.option(
    "--bake",
    "network",
    callback=lambda _, __, value: value and Network.load(value),
    metavar="NETWORK",
    help="Put this network's program into block RAM.",
)
@click.option("--standalone", is_flag=True, help="Run what is in the flash until a host comes.")
@click.option(
    "--clock-from", metavar="NAME", help="Resource of the clock (default: the platform's default)."
)
@click.option("--uart", metavar="NAME", help="Resource of the UART, or pins RX,TX.")
@click.option("--flash", metavar="NAME", help="Resource of the SPI flash.")
@click.option("--button", metavar="NAME", help="Resource of a button that resets.")
@click.option(
    "--led",
    "leds",
    metavar="NAME",
    multiple=True,
    help="Resource of an LED: the first for running, the second for errors, more for the class.",
)
@click.option(
    "--flash-base",
    type=_Address(),
    metavar="ADDRESS",
    help="Where networks lie in the flash (default: the board's).",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    default=1,
    help="Seed of place and route (default: 1).",
)
@click.option(
    "--seeds",
    "tries",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=1,
    help="Try so many seeds, from --seed on, and keep the fastest (default: 1).",
)
@jobs_option
@click.option("--force", is_flag=True, help="Make a bitstream that misses its clock.")
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory for all files (default: build/BOARD).",
)
@json_option
def build(
    board_name: str | None,
    show_list: bool,
    platform_name: str | None,
    selected: Selected | None,
    clock_mhz: float | None,
    baud: int | None,
    network: Network | None,
    standalone: bool,
    clock_from: str | None,
    uart: str | None,
    flash: str | None,
    button: str | None,
    leds: tuple[str, ...],
    flash_base: int | None,
    seed: int,
    tries: int,
    jobs: int,
    force: bool,
    directory: Path | None,
    as_json: bool,
) -> None:
    """Build a bitstream for BOARD, or for a platform of your own.

    A network comes later: over the UART with hiddenite run, or into the board's flash with
    hiddenite flash.
    """
    if show_list:
        _show_boards(as_json)
        return
    if board_name is not None and platform_name is None:
        project = Project.of_board(find_board(board_name))
    elif platform_name is not None and board_name is None:
        project = Project.of_platform(load_platform(platform_name))
    else:
        raise InputError("build: give either a BOARD (see --list) or --platform")
    project = project.with_resources(
        clock=clock_from, uart=uart, flash=flash, button=button, leds=leds or None
    )
    project = replace(
        project,
        standalone=standalone,
        clock_hz=project.clock_hz if clock_mhz is None else clock_mhz * 1e6,
        baud=project.baud if baud is None else baud,
        flash_base=project.flash_base if flash_base is None else flash_base,
    )
    if selected is not None:
        project = replace(
            project,
            configuration_name=selected.name,
            configuration=selected.configuration,
        )
    if network is not None:
        program = compile_network(network, project.configuration).bytes
        project = replace(project, network_name=network.name, program=program)
    directory = directory or Path("build") / project.name
    with Steps() as steps:
        report = project.build(
            directory,
            seeds=range(seed, seed + tries),
            jobs=jobs,
            allow_slow=force,
            progress=steps,
        )
    if as_json:
        print_json(report)
    else:
        _print(project, directory, report)


def _print(project: Project, directory: Path, report: dict) -> None:
    click.echo(
        f"{project.name}: {clean(project.configuration_name)},"
        f" {describe_array(project.configuration)}, on {report['device']}\n"
    )
    rows = [
        [_WORDS[name], f"{usage['used']:,}", f"{usage['available']:,}", _share(usage)]
        for name, usage in report["resources"].items()
        if usage["available"]
    ]
    table(["", "", "of", "share"], rows)
    met = "" if report["clock_met"] else ", which is NOT met"
    click.echo(
        f"\nclock {report['clock_mhz']:g} MHz{met}: at most {report['fmax_mhz']:g} MHz"
        f"{_seeds(report['seeds'])}\n"
        f"{clean(directory / report['bitstream'])}: {files_size(report['bitstream_bytes'])},"
        f" {sum(report['seconds'].values()):.0f} s"
    )


def _seeds(seeds: list[dict]) -> str:
    rates = [found["fmax_mhz"] for found in seeds if found["fmax_mhz"] is not None]
    if len(seeds) == 1:
        return ""
    return f", median {median(rates):g} of {len(rates)} seeds, {min(rates):g} at least"


def _share(usage: dict) -> str:
    return f"{100 * usage['used'] / usage['available']:.1f} %"


def _part_name(board: Board) -> str:
    part = part_of(board.platform)
    assert part is not None, "a board that is listed has a part that is known"
    return part.name


def _show_boards(as_json: bool) -> None:
    facts = [
        {
            "board": board.name,
            "title": board.title,
            "part": _part_name(board),
            "configuration": board.configuration_name,
            "processing_elements": board.configuration.processing_elements,
            "clock_mhz": board.clock_hz / 1e6,
            "baud": board.baud,
            "flash_base": board.flash_base,
            "programmers": [programmer.name for programmer in board.programmers],
        }
        for board in BOARDS.values()
    ]
    if as_json:
        print_json(facts)
        return
    rows = [
        [f["board"], f["title"], f["part"], f["configuration"], f"{f['clock_mhz']:g} MHz"]
        for f in facts
    ]
    table(["board", "", "part", "configuration", "clock"], rows, left=4)
