"""Commands that compute: `infer` in NumPy, `simulate` on the generated hardware."""

import contextlib
from functools import partial
from pathlib import Path

import click
import numpy as np

from hiddenite.cli.design import describe_array
from hiddenite.cli.display import Steps, clean, print_json, table
from hiddenite.cli.files import load_images, npy_bytes, output
from hiddenite.cli.labels import (
    accuracy_facts,
    accuracy_words,
    classes_of,
    labels_option,
    load_labels,
)
from hiddenite.cli.options import (
    Selected,
    batch_option,
    config_option,
    images_argument,
    json_option,
    network_argument,
    result_option,
    simulator_option,
)
from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network
from hiddenite.sim.verify import Verification, verify
from hiddenite.synthesis.netlist import engine_netlist
from hiddenite.synthesis.parts import PARTS

__all__ = ["class_name", "infer_command", "simulate", "verdict"]

WAVES_SUFFIXES = (".fst", ".vcd")


def class_name(network: Network, number: int) -> str:
    """Return the name of a class, or its number if it has none."""
    names = network.classes or ()
    return names[number] if number < len(names) else str(number)


@click.command("infer")
@network_argument
@images_argument
@labels_option
@result_option
@json_option
def infer_command(
    network: Network,
    images_path: Path,
    labels_path: Path | None,
    result_path: Path | None,
    as_json: bool,
) -> None:
    """Run a network in NumPy, the golden model.

    IMAGES is an array of the type of the network's input, uint8 or int8, N x height x width x
    channels.
    """
    images = load_images(images_path, network)
    labels = load_labels(labels_path, network, len(images))
    with _optional_output(result_path) as result_file, Steps() as steps:
        step = "compute the golden model"
        steps(step, 0, len(images))
        results = infer(network, images, lambda done: steps(step, done, len(images)))
        if result_file is not None:
            result_file.write(npy_bytes(results))
    classes = classes_of(results)
    if as_json:
        print_json({"network": network.name, **_result_facts(network, results, labels)})
    elif labels is not None:
        click.echo(accuracy_words(results, labels))
    elif classes is not None:
        rows = [
            [number, class_name(network, index), results[number, 0, 0, index]]
            for number, index in enumerate(classes)
        ]
        table(["image", "class", "value"], [[a, b, f"{c:,}"] for a, b, c in rows], left=2)
    else:
        shape = " x ".join(map(str, results.shape[1:]))
        click.echo(
            f"{clean(network.name)}: {len(images):,} results of {shape}, {results.dtype},"
            f" {results.min()} to {results.max()}, mean {results.mean():.3f}"
        )


def _result_facts(
    network: Network, results: np.ndarray, labels: np.ndarray | None
) -> dict[str, object]:
    classes = classes_of(results)
    return {
        "images": len(results),
        "shape": results.shape[1:],
        "type": str(results.dtype),
        "classes": None if classes is None else [class_name(network, int(i)) for i in classes],
        **accuracy_facts(results, labels),
    }


def _optional_output(path: Path | None) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext() if path is None else output(path)


@click.command()
@network_argument
@images_argument
@config_option
@batch_option
@simulator_option
@click.option(
    "--netlist",
    "target",
    type=click.Choice(list(PARTS)),
    help="Simulate the netlist that synthesis makes for this FPGA (default: the Verilog itself).",
)
@click.option(
    "--waves",
    "waves_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write waveforms to this file, in FST or VCD as its name ends; of a run that fails, up to"
    " there.",
)
@labels_option
@result_option
@json_option
def simulate(
    network: Network,
    images_path: Path,
    selected: Selected,
    batch: int,
    simulator: str,
    target: str | None,
    waves_path: Path | None,
    labels_path: Path | None,
    result_path: Path | None,
    as_json: bool,
) -> int:
    """Run a network on the simulated Verilog.

    The Verilog of the configuration is generated, with --netlist synthesised, and its results are
    compared with the golden model. IMAGES is an array of the type of the network's input, uint8 or
    int8, N x height x width x channels.

    Exit status 0 means that every bit is equal; 1 that something differs: then the first wrong
    layer, position and channel are named, and no RESULT.npy is written.
    """
    if waves_path is not None and waves_path.suffix not in WAVES_SUFFIXES:
        raise InputError(f"waves must be a file ending in .fst or .vcd, not {waves_path.name!r}")
    images, configuration = load_images(images_path, network), selected.configuration
    labels = load_labels(labels_path, network, len(images))
    with (
        _optional_output(waves_path) as waves_file,
        _optional_output(result_path) as result_file,
        Steps() as steps,
    ):
        if waves_file is not None:
            waves_file.partial = True
        verification = verify(
            network,
            images,
            configuration,
            batch=batch,
            simulator=simulator,
            verilog=(
                None if target is None else partial(engine_netlist, configuration, target, steps)
            ),
            waves=None if waves_file is None else waves_file.temporary,
            progress=steps,
        )
        if result_file is not None:
            result_file.wanted = verification.equal
            result_file.write(npy_bytes(verification.results))
    if as_json:
        print_json(_verification_facts(network, selected, simulator, target, verification, labels))
    else:
        _print_verification(network, selected, simulator, target, verification, labels)
    if not verification.equal:
        click.echo(f"hiddenite: {clean(verification.difference)}", err=True)
    return 0 if verification.equal else 1


def _verification_facts(
    network: Network,
    selected: Selected,
    simulator: str,
    target: str | None,
    verification: Verification,
    labels: np.ndarray | None,
) -> dict[str, object]:
    difference = verification.difference
    return {
        "network": network.name,
        "configuration": selected.name,
        "simulator": simulator,
        "netlist": target,
        **(_result_facts(network, verification.results, labels) if verification.equal else {}),
        "equal": verification.equal,
        "difference": None if difference is None else vars(difference),
        "batch": verification.program.batch,
        "cycles": verification.cycles.tolist(),
        "image_cycles": verification.image_cycles,
        "utilisation": verification.utilisation if verification.equal else None,
        "simulated_cycles": verification.statistics.cycles,
        "cycles_per_second": verification.statistics.cycles_per_second,
    }


def _print_verification(
    network: Network,
    selected: Selected,
    simulator: str,
    target: str | None,
    verification: Verification,
    labels: np.ndarray | None,
) -> None:
    count, statistics = len(verification.results), verification.statistics
    of = "" if target is None else f", netlist for {PARTS[target].name}"
    click.echo(
        f"{clean(network.name)} on {clean(selected.name)},"
        f" {describe_array(selected.configuration)}{of}, in {simulator}"
    )
    click.echo(f"{count:,} image{'s' * (count > 1)}: {verdict(verification)}")
    if verification.equal:
        click.echo(
            f"{verification.image_cycles:,.0f} cycles an image{_in_batches(verification)},"
            f" {verification.utilisation:.1%} of the PEs used"
        )
        if labels is not None:
            click.echo(accuracy_words(verification.results, labels))
    click.echo(
        f"{statistics.cycles:,} cycles simulated in {statistics.seconds:.1f} s,"
        f" {statistics.cycles_per_second:,.0f} a second"
    )


def _in_batches(verification: Verification) -> str:
    batch = verification.program.batch
    return "" if batch == 1 else f" in batches of {batch}"


def verdict(verification: Verification) -> str:
    """Return in words whether the hardware equals the golden model."""
    if verification.equal:
        return "bit-exact, the hardware equals the golden model"
    return "NOT bit-exact, the hardware differs from the golden model"
