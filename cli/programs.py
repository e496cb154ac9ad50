"""Commands about programs: `estimate` and `compile`."""

import json
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import click

from hiddenite.boards.boards import find_board
from hiddenite.boards.estimate import SOURCES, default_source, estimate_board
from hiddenite.boards.project import Project
from hiddenite.cli.design import describe_array
from hiddenite.cli.display import Steps, clean, files_size, print_json, table
from hiddenite.cli.files import output, output_beside
from hiddenite.cli.memory import describe_memory, memory_facts, show_memory
from hiddenite.cli.options import (
    DEFAULT_CONFIGURATION,
    Selected,
    batch_option,
    config_option,
    configuration_option,
    json_option,
    network_argument,
)
from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import Estimate, estimate
from hiddenite.compiler.program import Program
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import PRESETS, PROGRAM_FORMAT
from hiddenite.rtl.program.packets import Operation

__all__ = ["compile_command", "estimate_command"]


def _compile(network: Network, selected: Selected, batch: int) -> Program:
    with Steps() as steps:
        steps("compile the network", 0, 1)
        program = compile_network(network, selected.configuration, batch=batch)
        steps("compile the network", 1, 1)
    return program


@click.command("estimate")
@network_argument
@configuration_option(
    help=f"Preset ({', '.join(PRESETS)}) or TOML file (default: the board's, or else"
    f" {DEFAULT_CONFIGURATION})."
)
@batch_option
@click.option("--board", "board_name", metavar="BOARD", help="Tell the time on a whole board, too.")
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    help="From where program and image come: both from the board's flash, both over the UART, or"
    " the program from block RAM and the image from the flash (default: the flash, or the UART"
    " where a board does not run alone).",
)
@click.option(
    "--memory",
    "with_memory",
    is_flag=True,
    help="Show also which tensor takes what of the activation memory, and when.",
)
@json_option
def estimate_command(
    network: Network,
    selected: Selected | None,
    batch: int,
    board_name: str | None,
    source: str | None,
    with_memory: bool,
    as_json: bool,
) -> None:
    """Estimate cycles, layer by layer.

    With --board, the time of an image on the whole board as well, and what bounds it.
    """
    if source is not None and board_name is None:
        raise InputError("source: needs --board")
    if batch > 1 and board_name is not None:
        raise InputError(f"batch: must be 1 with --board, not {batch}")
    board = None if board_name is None else find_board(board_name)
    if selected is None:
        default = PRESETS[DEFAULT_CONFIGURATION]
        selected = Selected(DEFAULT_CONFIGURATION, default)
        if board is not None:
            selected = Selected(board.configuration_name, board.configuration)
    program = _compile(network, selected, batch)
    result = estimate(program)
    whole = None
    if board is not None:
        project = replace(Project.of_board(board), configuration=selected.configuration)
        _, parameters = project.plan(project.platform())
        source = source or default_source(parameters)
        whole = estimate_board(program, parameters, source)
    if as_json:
        facts = _estimate_facts(network, selected, program, result)
        if board is not None and whole is not None:
            facts |= {
                "board": board.name,
                "source": source,
                "board_cycles": whole.cycles,
                "board_bound": whole.bound,
                "images_per_second": whole.images_per_second,
            }
        print_json(facts)
        return
    rows = [
        [
            layer.name,
            layer.operation,
            " x ".join(map(str, layer.shape)),
            layer.bound,
            f"{layer.cycles:,}",
            f"{layer.utilisation:.1%}" if layer.weights else "",
            f"{layer.weights:,}" if layer.weights else "",
            f"{layer.density:.3f}" if layer.weights else "",
            f"{layer.mask_bits:,}" if layer.weights else "",
        ]
        for layer in result.layers
    ]
    c = selected.configuration
    of_batch = "" if batch == 1 else f", a batch of {batch} images"
    click.echo(f"{clean(network.name)} on {clean(selected.name)}, {describe_array(c)}{of_batch}\n")
    numbers = ("cycles", "utilisation", "weights", "density", "mask bits")
    table(["layer", "operation", "output", "bound by", *numbers], rows, left=4)
    click.echo(
        f"\n{result.cycles / batch:,.0f} cycles an image,"
        f" {result.utilisation:.1%} of the PEs used\n"
        f"program {files_size(result.program_bytes)}, {result.mask_bits_per_weight:.3f} mask bits"
        f" per weight (a binary network: 1)\n"
        f"{describe_memory(program)}"
    )
    if board is not None and whole is not None:
        click.echo(
            f"{board.name}, source {source}: {whole.cycles:,} cycles an image at"
            f" {whole.clock_hz / 1e6:g} MHz, {whole.images_per_second:,.0f}/s, bound by the"
            f" {whole.bound}"
        )
    if with_memory:
        click.echo()
        show_memory(program)


def _estimate_facts(
    network: Network, selected: Selected, program: Program, result: Estimate
) -> dict[str, object]:
    names = (
        "name", "operation", "shape", "cycles", "bound", "utilisation", "weights", "density",
        "mask_bits",
    )  # fmt: skip
    return {
        "network": network.name,
        "configuration": selected.name,
        "processing_elements": selected.configuration.processing_elements,
        "batch": result.batch,
        "cycles": result.cycles,
        "image_cycles": result.cycles / result.batch,
        "utilisation": result.utilisation,
        "program_bytes": result.program_bytes,
        "mask_bits_per_weight": result.mask_bits_per_weight,
        "mask_bits": program.mask_bits,
        "mask_entropy": program.mask_entropy,
        "weights": program.weights,
        "memory": memory_facts(program),
        "layers": [{name: getattr(layer, name) for name in names} for layer in result.layers],
    }


@click.command("compile")
@network_argument
@config_option
@batch_option
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    metavar="PROGRAM",
    required=True,
    help="File for the program.",
)
@json_option
def compile_command(
    network: Network, selected: Selected, batch: int, path: Path, as_json: bool
) -> None:
    """Compile a network for a configuration.

    Writes the bytes of the program stream, and PROGRAM.json, which tells a host how to use them.
    """
    beside = output_beside(path, ".json")
    with output(path) as program_file, output(beside) as facts_file:
        program = _compile(network, selected, batch)
        facts = _program_facts(network, program)
        program_file.write(program.bytes)
        facts_file.write((json.dumps(facts, indent=2) + "\n").encode())
    if as_json:
        print_json(facts)
        return
    c = selected.configuration
    click.echo(
        f"{clean(path)}: {files_size(len(program.bytes))}, {len(program.words):,} words of"
        f" {c.program_bits} bits, for {clean(selected.name)}\n"
        f"{clean(beside)}: the streams' shapes and orders\n"
        f"{describe_memory(program)}"
    )


def _program_facts(network: Network, program: Program) -> dict[str, object]:
    """Return what a host needs to run a program."""
    c = program.configuration
    lanes = c.post_lanes
    height, width, channels = program.stream_shape
    pixel_beats = -(-channels // lanes)
    conv = program.stages[-1].operation is Operation.CONV
    order = program.result_order()
    return {
        "format_version": PROGRAM_FORMAT,
        "generator": f"hiddenite {version('hiddenite')}",
        "network": network.name,
        "classes": network.classes,
        "configuration": asdict(c),
        "fingerprint": f"0x{c.fingerprint:08x}",
        "batch": program.batch,
        "program": {
            "words": len(program.words),
            "word_bits": c.program_bits,
            "bytes": len(program.bytes),
            "byte_order": "least significant first",
            "last": "with the last word",
        },
        "input": {
            "name": network.input.name,
            "shape": program.input_shape,
            "stream_shape": program.stream_shape,
            "type": network.input.type,
            "lanes": lanes,
            "beats_per_pixel": pixel_beats,
            "beats": program.batch * height * width * pixel_beats,
            "order": "for each image, each y, each x of the stream's shape: the channels, lane 0"
            " first; the lanes after the last channel are zero. The bytes are in the order y, x,"
            " channel of the image's shape, too",
            "last": "with the last beat",
        },
        "result": {
            "name": program.stages[-1].name,
            "shape": program.result_shape,
            "type": program.result_type,
            "lanes": lanes,
            "lane_bits": 32,
            "beats": len(order),
            "tile_channels": c.och if conv else c.unit,
            "tile_rows": c.rows,
            "tile_columns": c.cols,
            "order": "for each tile of channels, each image, each tile of rows, each tile of"
            " columns, each row of it, each column of it: the tile's channels, lane 0 first; pixels"
            " outside the map and beats without a channel are left out, lanes after the last"
            " channel mean nothing",
            "last": "with the last beat",
        },
        "memory_words": program.memory.used,
    }
