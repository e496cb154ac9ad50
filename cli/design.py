"""Commands about the hardware: `generate` and `configs`."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import click
import tomli_w

from hiddenite.cli.display import Steps, clean, files_size, print_json, table
from hiddenite.cli.files import Output, make_directory, output
from hiddenite.cli.options import Selected, config_option, json_option
from hiddenite.rtl.configuration import PRESETS, Configuration, Sizes, Technology
from hiddenite.rtl.verilog import TOP, check_name, generate
from hiddenite.synthesis.parts import PARTS, memory_blocks

__all__ = ["configs", "describe_array", "design_files", "generate_command", "write_design"]

_SIDE_BY_SIDE = 3
"""Presets in a table: a terminal has 80 columns."""


def describe_array(c: Configuration) -> str:
    """Return the array's sizes in words."""
    return f"{c.ich} x {c.och} x {c.rows} x {c.cols} = {c.processing_elements:,} PEs"


def configuration_toml(selected: Selected) -> bytes:
    """Return the content of a file that loads as a configuration."""
    values = asdict(selected.configuration)
    lines = [f"# hiddenite {version('hiddenite')}, from {clean(selected.name)}"]
    for title, part in (
        ("Sizes, which programs depend on.", Sizes),
        ("Technology: how the engine is built.", Technology),
    ):
        own = {field.name: values[field.name] for field in fields(part)}
        lines += [f"\n# {title}", tomli_w.dumps(own).rstrip()]
    return ("\n".join(lines) + "\n").encode()


@dataclass(frozen=True, kw_only=True)
class DesignFiles:
    """The files of an engine whose top module is `name`."""

    name: str
    verilog: Output
    configuration: Output


@contextlib.contextmanager
def design_files(directory: Path, name: str | None = None) -> Iterator[DesignFiles]:
    """Give the files for the Verilog and for its configuration, in a directory that is made.

    They are called after the top module if it is given a name, so that several engines have place
    in one directory.
    """
    top = TOP if name is None else check_name(name)
    with (
        make_directory(directory),
        output(directory / f"{top}.v") as verilog,
        output(directory / f"{name or 'configuration'}.toml") as configuration,
    ):
        yield DesignFiles(name=top, verilog=verilog, configuration=configuration)


def write_design(files: DesignFiles, selected: Selected, steps: Steps) -> str:
    """Generate the Verilog of a configuration, and write both.

    Parameters
    ----------
    files : DesignFiles
        From `design_files`.
    selected : Selected
        The configuration.
    steps : Steps
        Shows what is done.

    Returns
    -------
    str
        The Verilog text.
    """
    steps("generate Verilog", 0, 1)
    verilog = generate(selected.configuration, files.name)
    files.verilog.write(verilog.encode())
    files.configuration.write(configuration_toml(selected))
    steps("generate Verilog", 1, 1)
    return verilog


@click.command("generate")
@config_option
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default=Path("."),
    help="Directory, made if it is not there (default: the current one).",
)
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the top module and of the files; the names of all other modules begin with it, so"
    " that several engines can be in one design (default: hiddenite).",
)
def generate_command(selected: Selected, directory: Path, name: str | None) -> None:
    """Write the Verilog of a configuration.

    Writes DIR/hiddenite.v, whose top module is hiddenite, and DIR/configuration.toml, which
    --config takes; with --name, DIR/NAME.v and DIR/NAME.toml.
    """
    with design_files(directory, name) as files, Steps() as steps:
        verilog = write_design(files, selected, steps)
    size = files_size(len(verilog.encode()))
    click.echo(f"{clean(files.verilog.path)}: {size}, top module {files.name}")
    click.echo(
        f"{clean(files.configuration.path)}: {clean(selected.name)},"
        f" {describe_array(selected.configuration)}"
    )


@click.command()
@json_option
def configs(as_json: bool) -> None:
    """Show the presets."""
    facts = {name: _facts(name, c) for name, c in PRESETS.items()}
    if as_json:
        print_json(facts)
        return
    names = list(facts)
    for first in range(0, len(names), _SIDE_BY_SIDE):
        beside = names[first : first + _SIDE_BY_SIDE]
        rows = [
            [key, *(f"{v:,}" if isinstance(v, int) else v for v in (facts[n][key] for n in beside))]
            for key in facts[names[0]]
        ]
        if first:
            click.echo()
        table(["", *beside], rows)


def _facts(name: str, c: Configuration) -> dict[str, int | str]:
    values = {field.name: getattr(c, field.name) for field in fields(c)}
    return {
        "processing_elements": c.processing_elements,
        "activation_bytes": c.activation_bytes,
        "tile_bytes": c.tile_words * c.och * c.ich * 2 // 8,
        **values,
        **_memory_blocks(name, c),
        "fingerprint": f"0x{c.fingerprint:08x}",
    }


def _memory_blocks(name: str, c: Configuration) -> dict[str, str]:
    """Blocks of the part that the preset is made for, as "needed/there kind"."""
    blocks = {"single_port_ram": "-", "block_ram": "-"}
    if name in PARTS:
        there = {block.name: block for block in PARTS[name].blocks}
        for kind, (needed, count) in memory_blocks(PARTS[name], c).items():
            key = "single_port_ram" if there[kind].ports == 1 else "block_ram"
            blocks[key] = f"{needed}/{count} {kind}"
    return blocks
