"""The command `demo`: the main job on a small trained network that the package carries."""

from importlib import resources
from pathlib import Path

import click
import numpy as np

from hiddenite.cli.design import describe_array, design_files, write_design
from hiddenite.cli.display import Steps, clean, files_size, pictures, table
from hiddenite.cli.inference import class_name, verdict
from hiddenite.cli.labels import classes_of
from hiddenite.cli.options import Selected, config_option, simulator_option
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.network import Conv, Network
from hiddenite.sim.verify import Verification, verify

__all__ = ["demo", "load_demo"]

IMAGES = 100
_PICTURES = 4


def load_demo() -> tuple[Network, np.ndarray, np.ndarray]:
    """Return the demo's network, its images and their labels.

    Returns
    -------
    Network
        A classifier of handwritten digits.
    uint8 array, (100, 8, 8, 1)
        Images that it was not trained with.
    uint8 array, (100,)
        Their classes.
    """
    with resources.as_file(resources.files(__package__) / "demo") as folder:
        network = Network.load(folder / "digits.safetensors")
        return network, np.load(folder / "images.npy"), np.load(folder / "labels.npy")


@click.command()
@config_option
@click.option(
    "--images",
    "count",
    type=click.IntRange(1, IMAGES),
    metavar="N",
    default=20,
    help=f"How many images, 1 to {IMAGES} (default: 20).",
)
@simulator_option
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default=Path("hiddenite-demo"),
    help="Directory for the Verilog (default: hiddenite-demo).",
)
def demo(selected: Selected, count: int, simulator: str, directory: Path) -> int:
    """Recognise digits on simulated hardware.

    Generates Verilog, compiles a trained network for it, and compares the results of the simulated
    hardware with the golden model bit by bit.
    """
    network, images, labels = load_demo()
    images, labels = images[:count], labels[:count]
    c = selected.configuration
    compile_network(network, c)  # What is too small is refused before anything is written.
    with design_files(directory) as files:
        _introduce(network)
        click.echo(f"hardware: {clean(selected.name)}, {describe_array(c)}\n")
        with Steps(_print_step) as steps:
            verilog = write_design(files, selected, steps)
    with Steps(_print_step) as steps:
        verification = verify(
            network, images, c, simulator=simulator, verilog=verilog, progress=steps
        )
    click.echo()
    if verification.equal:
        right = _print_classes(network, images, labels, verification)
        click.echo(f"\naccuracy: {right} of {count} images as labelled")
    click.echo(f"{verdict(verification)}: {count} image{'s' * (count > 1)}, every bit compared")
    if verification.equal:
        _print_figures(verification)
    speed = verification.statistics.cycles_per_second
    click.echo(f"simulation: {speed:,.0f} cycles a second in {simulator}")
    click.echo(
        f"Verilog: {clean(files.verilog.path)}, {files_size(len(verilog.encode()))},"
        " top module hiddenite"
    )
    if not verification.equal:
        click.echo(f"hiddenite: {clean(verification.difference)}", err=True)
    return 0 if verification.equal else 1


def _introduce(network: Network) -> None:
    masks = [layer.mask for layer in network.layers if isinstance(layer, Conv)]
    weights, kept = sum(m.size for m in masks), sum(int(m.sum()) for m in masks)
    click.echo(
        f"network: {network.name}, {len(network.layers)} layers, {weights:,} random weights that"
        f" the hardware makes itself; the mask keeps {kept:,}"
    )


def _print_step(step: str, seconds: float) -> None:
    click.echo(f"  {step:<28}{seconds:6.1f} s")


def _print_classes(
    network: Network, images: np.ndarray, labels: np.ndarray, verification: Verification
) -> int:
    """Print pictures and classes, and return how many are as labelled."""
    classes = classes_of(verification.results)
    assert classes is not None, "the demo's network is a classifier"
    names = [class_name(network, int(index)) for index in classes]
    pictures(
        images[:_PICTURES, :, :, 0],
        [f"image {n}: {name}" for n, name in enumerate(names[:_PICTURES])],
    )
    click.echo()
    rows = [
        [
            number,
            class_name(network, int(label)),
            name,
            "yes" if label == index else "no",
            f"{verification.cycles[number]:,}",
        ]
        for number, (label, index, name) in enumerate(zip(labels, classes, names, strict=True))
    ]
    table(["image", "label", "class", "right", "cycles"], rows, left=4)
    return int((classes == labels).sum())


def _print_figures(verification: Verification) -> None:
    program = verification.program
    click.echo(
        f"cycles: {verification.cycles.mean():,.0f} an image, {verification.utilisation:.1%} of"
        " the PEs used\n"
        f"program: {files_size(len(program.bytes))} for each image,"
        f" {program.mask_bits / program.weights:.3f} mask bits per weight (a binary network: 1)"
    )
