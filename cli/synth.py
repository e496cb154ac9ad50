"""Command about FPGAs: `synth`."""

from contextlib import nullcontext
from pathlib import Path

import click

from hiddenite.cli.display import Steps, clean, print_json, table
from hiddenite.cli.files import output
from hiddenite.cli.options import Selected, configuration_option, jobs_option, json_option
from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS
from hiddenite.synthesis.blocks import ENGINE
from hiddenite.synthesis.parts import PARTS
from hiddenite.synthesis.report import Report, Share, json_text, measure

__all__ = ["synth"]

_ROWS = {
    "lut4": "LUT4",
    "flip_flops": "flip-flops",
    "carry_cells": "carry cells",
    "distributed_ram": "distributed RAM",
    "block_ram": "block RAM",
    "single_port_ram": "SPRAM",
    "dsp": "DSP",
}


@click.command()
@click.argument("block", default=ENGINE, metavar="[BLOCK]")
@click.option(
    "--target",
    type=click.Choice(list(PARTS)),
    required=True,
    help="FPGA.",
)
@configuration_option(help="Preset or TOML file (default: the preset with the target's name).")
@click.option(
    "--seeds",
    type=click.IntRange(0, 1000),
    metavar="N",
    default=0,
    help="Place and route with the seeds 1 to N (default: 0, only synthesise and pack).",
)
@click.option(
    "--clock",
    type=click.FloatRange(1, 1000),
    metavar="MHZ",
    help="Clock that place and route is asked for (default: the part's). What is too slow for it is"
    " routed again on an ECP5, in vain and for long if it is out of reach.",
)
@jobs_option
@click.option(
    "-o",
    "--output",
    "report_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the report to this file, in JSON.",
)
@json_option
def synth(
    block: str,
    target: str,
    selected: Selected | None,
    seeds: int,
    clock: float | None,
    jobs: int,
    report_path: Path | None,
    as_json: bool,
) -> int:
    """Show what an engine takes of an FPGA.

    BLOCK is a part of it, such as array or window; engine, the default, is all of it. No pins are
    needed: for place and route the block is put between shift registers. Exit status 1 means that
    a seed could not be placed or routed.
    """
    if selected is None:
        if target not in PRESETS:
            raise InputError(f"no preset is named {target}: --config must be given")
        selected = Selected(target, PRESETS[target])
    with (
        nullcontext() if report_path is None else output(report_path) as file,
        Steps() as steps,
    ):
        report = measure(
            block,
            target,
            selected.configuration,
            configuration_name=selected.name,
            target_mhz=clock,
            seeds=seeds,
            jobs=jobs,
            progress=steps,
        )
        if file is not None:
            file.write(json_text(report).encode())
    if as_json:
        print_json(report)
    else:
        _print(report)
    routed = report["place_and_route"]
    failed = [] if routed is None else [r for r in routed["seeds"] if r["error"] is not None]
    for result in failed:
        click.echo(f"hiddenite: seed {result['seed']}: {clean(result['error'])}", err=True)
    return 1 if failed else 0


def _print(report: Report) -> None:
    synthesis, packed, routed = report["synthesis"], report["packed"], report["place_and_route"]
    elements = report["processing_elements"]
    pes = f", {elements:,} PEs" if elements else ""
    click.echo(
        f"{report['block']} of {clean(report['configuration_name'])} on {report['part']}{pes}"
    )
    click.echo(f"{report['tools']['yosys']}, {report['tools']['nextpnr']}\n")
    rows: list[list[object]] = []
    for key, name in _ROWS.items():
        if key in synthesis:
            rows.append([name, f"{synthesis[key]:,}", *_share(packed.get(key))])
    cells = packed["logic_cells"]
    rows.append(["logic cells, packed", f"{cells['used']:,}", *_share(cells)])
    if routed is not None:
        rows.append(["  with the harness", f"{routed['logic_cells_with_harness']:,}", "", ""])
    if elements:
        rows.append(["LUT4 per PE", report["lut4_per_processing_element"], "", ""])
    if routed is not None and routed["fmax_median_mhz"] is not None:
        low, high = routed["fmax_minimum_mhz"], routed["fmax_maximum_mhz"]
        count = len(routed["seeds"])
        rows.append([f"Fmax, MHz, median of {count}", f"{routed['fmax_median_mhz']}", "", ""])
        rows.append(["  lowest to highest", f"{low} to {high}", "", ""])
    table(["", "", "of", "share"], rows)


def _share(usage: Share | None) -> list[str]:
    return ["", ""] if usage is None else [f"{usage['available']:,}", f"{usage['percent']:.1f} %"]
