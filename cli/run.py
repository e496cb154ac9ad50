"""The command `run`: a network on a board."""

import contextlib
from pathlib import Path

import click
import numpy as np

from hiddenite.cli.design import describe_array
from hiddenite.cli.display import Steps, clean, print_json, table
from hiddenite.cli.files import load_images, npy_bytes, output
from hiddenite.cli.inference import class_name
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
    configuration_option,
    images_argument,
    json_option,
    network_argument,
    result_option,
)
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network
from hiddenite.host.board import Board, Traffic
from hiddenite.link.protocol import DEFAULT_BAUD
from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim.verify import Difference

__all__ = ["run"]


@click.command()
@network_argument
@images_argument
@click.option("--port", metavar="PORT", required=True, help="Serial port: /dev/ttyUSB0, COM3.")
@configuration_option(
    help=f"Preset ({', '.join(PRESETS)}) or TOML file of the board's engine"
    " (default: the preset that the board has)."
)
@batch_option
@click.option(
    "--baud",
    type=click.IntRange(min=1),
    default=DEFAULT_BAUD,
    metavar="B",
    help=f"Bits a second on the port (default: {DEFAULT_BAUD}).",
)
@click.option(
    "--from-memory",
    is_flag=True,
    help="Let the board take the program from its own memory. It must be this network's.",
)
@click.option("--verify", is_flag=True, help="Compare the results with the golden model.")
@labels_option
@result_option
@json_option
def run(
    network: Network,
    images_path: Path,
    port: str,
    selected: Selected | None,
    batch: int,
    baud: int,
    from_memory: bool,
    verify: bool,
    labels_path: Path | None,
    result_path: Path | None,
    as_json: bool,
) -> int:
    """Run a network on a board at a serial port.

    IMAGES is an array of the type of the network's input, uint8 or int8, N x height x width x
    channels.

    With --verify, exit status 0 means that every bit equals the golden model's; 1 that something
    differs: then the first wrong value is named, and no RESULT.npy is written.
    """
    images = load_images(images_path, network)
    labels = load_labels(labels_path, network, len(images))
    file = contextlib.nullcontext() if result_path is None else output(result_path)
    configuration = None if selected is None else selected.configuration
    with (
        file as result_file,
        Board(port, baud=baud, configuration=configuration) as board,
        Steps() as steps,
    ):
        step = "run on the board"
        steps(step, 0, len(images))
        results = board.run(
            network,
            images,
            batch=batch,
            from_memory=from_memory,
            progress=lambda done: steps(step, done, len(images)),
        )
        difference = _compare(network, images, results, steps) if verify else None
        if result_file is not None:
            result_file.wanted = difference is None
            result_file.write(npy_bytes(results))
    name = _configuration_name(board) if selected is None else selected.name
    if as_json:
        print_json(_facts(network, name, board, results, verify, difference, labels))
    else:
        _print(network, name, board, port, results, verify, difference, labels)
    if difference is not None:
        click.echo(f"hiddenite: {clean(difference)}", err=True)
    return 0 if difference is None else 1


def _compare(
    network: Network, images: np.ndarray, results: np.ndarray, steps: Steps
) -> Difference | None:
    """Find the first value that differs from the golden model's."""
    step = "compute the golden model"
    steps(step, 0, len(images))
    expected = infer(network, images, lambda done: steps(step, done, len(images)))
    wrong = np.argwhere(results != expected)
    if not len(wrong):
        return None
    image, y, x, channel = at = tuple(map(int, wrong[0]))
    return Difference(
        image=image,
        layer=network.layers[-1].name,
        y=y,
        x=x,
        channel=channel,
        expected=int(expected[at]),
        got=int(results[at]),
    )


def _configuration_name(board: Board) -> str:
    return next(name for name, c in PRESETS.items() if c is board.configuration)


def _traffic(board: Board) -> Traffic:
    """What the run has taken that has just ended well."""
    assert board.traffic is not None, "a run has ended"
    return board.traffic


def _rates(traffic: Traffic) -> tuple[float, float, float]:
    """Images a second, bytes sent and received for each image."""
    count = traffic.images
    return (
        count / max(traffic.seconds, 1e-9),
        traffic.bytes_sent / count,
        traffic.bytes_received / count,
    )


def _facts(
    network: Network,
    name: str,
    board: Board,
    results: np.ndarray,
    verify: bool,
    difference: Difference | None,
    labels: np.ndarray | None,
) -> dict[str, object]:
    classes = classes_of(results)
    traffic = _traffic(board)
    rate, sent, received = _rates(traffic)
    return {
        "network": network.name,
        "configuration": name,
        "board": board.info.name,
        "images": len(results),
        "shape": results.shape[1:],
        "type": str(results.dtype),
        "classes": None if classes is None else [class_name(network, int(i)) for i in classes],
        "equal": difference is None if verify else None,
        "difference": None if difference is None else vars(difference),
        **accuracy_facts(results, labels),
        "seconds": traffic.seconds,
        "images_per_second": rate,
        "bytes_sent_per_image": sent,
        "bytes_received_per_image": received,
        "bytes_resent": traffic.bytes_resent,
        "sessions": traffic.sessions,
    }


def _print(
    network: Network,
    name: str,
    board: Board,
    port: str,
    results: np.ndarray,
    verify: bool,
    difference: Difference | None,
    labels: np.ndarray | None,
) -> None:
    classes, count, traffic = classes_of(results), len(results), _traffic(board)
    click.echo(
        f"{clean(network.name)} on {clean(name)}, {describe_array(board.configuration)},"
        f" on {clean(board.info.name)} at {clean(port)}"
    )
    if classes is not None and labels is None:
        rows = [
            [str(number), class_name(network, index), f"{results[number, 0, 0, index]:,}"]
            for number, index in enumerate(classes)
        ]
        table(["image", "class", "value"], rows, left=2)
    if verify:
        verdict = (
            "bit-exact, the board equals the golden model"
            if difference is None
            else "NOT bit-exact, the board differs from the golden model"
        )
        click.echo(f"{count:,} image{'s' * (count > 1)}: {verdict}")
    if labels is not None:
        click.echo(accuracy_words(results, labels))
    rate, sent, received = _rates(traffic)
    click.echo(
        f"{rate:,.1f} images a second; {sent:,.0f} bytes sent and {received:,.0f} received for each"
    )
    if traffic.bytes_resent or traffic.sessions > 1:
        click.echo(f"{traffic.bytes_resent:,} bytes sent again, {traffic.sessions} sessions")
