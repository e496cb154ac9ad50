"""The command `import`."""

from pathlib import Path

import click

from hiddenite.cli.display import clean, files_size, print_json, table
from hiddenite.cli.extras import packages_of
from hiddenite.cli.files import output
from hiddenite.cli.options import json_option
from hiddenite.golden.checks import listing
from hiddenite.golden.network import Conv, Network

__all__ = ["import_command"]


@click.command("import")
@click.argument("model_path", type=click.Path(path_type=Path), metavar="MODEL.onnx")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    metavar="NETWORK",
    help="The network (default: MODEL.safetensors).",
)
@click.option(
    "--image-range",
    type=(float, float),
    default=(0.0, 1.0),
    metavar="LOW HIGH",
    help="What the model is given for the bytes 0 and 255 (default: 0 1).",
)
@click.option("--name", metavar="NAME", help="Name of the network (default: the graph's).")
@json_option
def import_command(
    model_path: Path,
    path: Path | None,
    image_range: tuple[float, float],
    name: str | None,
    as_json: bool,
) -> None:
    """Turn a quantised ONNX model (QONNX) into a network.

    The network computes exactly what the model does, for every image; what cannot be done exactly
    is refused, with the node's name. Its images are uint8, N x height x width x channels.
    """
    with packages_of("import", "import"):
        from hiddenite.importer import convert
    path = Path(f"{model_path.stem}.safetensors") if path is None else path
    with output(path) as file:
        imported = convert(model_path, image_range=image_range, name=name)
        imported.network.save(file.temporary)
    if as_json:
        print_json(_facts(path, imported))
    else:
        _print(path, imported)


def _facts(path: Path, imported) -> dict:
    network = imported.network
    return {
        "network": str(path),
        "name": network.name,
        "image": dict(vars(network.input)),
        "image_range": list(imported.image_range),
        "layers": [
            {"name": layer.name, "op": layer.op, "shape": list(network.shapes[layer.name])}
            for layer in network.layers
        ],
        "quantisers": [
            {"node": way.where, "layers": list(way.layers), "near_steps": way.near}
            for way in imported.ways
        ],
        "result": imported.result.rule,
        "factor": imported.result.factor,
        "for_the_host": [node.name for node in imported.host],
        "unused": [node.name for node in imported.unused],
    }


def _print(path: Path, imported) -> None:
    network = imported.network
    table(["layer", "op", "output", "type", "kept weights"], map(_row(network), network.layers))
    low, high = imported.image_range
    height, width, channels = network.input.shape
    lines = [
        f"images: uint8, {height} x {width} x {channels}; a byte b is taken to be what the model"
        f" knows as {low:g} + b / 255 * {high - low:g}",
        f"result: {imported.result.rule}",
    ]
    near = [way for way in imported.ways if way.near]
    if near:
        lines.append(
            f"{sum(way.near for way in near)} steps are so near to a sum that float32's rounding"
            f" decides; they are as for sums without error: {listing(way.where for way in near)}"
        )
    if imported.host:
        lines.append(f"left to the host: {listing(node.where for node in imported.host)}")
    if imported.unused:
        lines.append(
            f"without use for the result: {listing(node.where for node in imported.unused)}"
        )
    for line in lines:
        click.echo(clean(line))
    click.echo(f"{clean(path)}: {files_size(path.stat().st_size)}")


def _row(network: Network):
    def row(layer) -> list[str]:
        kept = f"{layer.mask.sum():,} of {layer.mask.size:,}" if isinstance(layer, Conv) else ""
        shape = " x ".join(map(str, network.shapes[layer.name]))
        return [clean(layer.name), layer.op, shape, network.types[layer.name], kept]

    return row
