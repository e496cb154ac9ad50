"""Writes a trained model as a network file, and proves what it writes."""

import contextlib
import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import check_images, infer_layers
from hiddenite.golden.layers import Add, AvgPool, Concat, Conv, Input, MaxPool, Upsample
from hiddenite.golden.network import Network
from hiddenite.golden.weights import signs
from hiddenite.training.exporter.comparison import compare
from hiddenite.training.exporter.fold import FoldedConv2d, FoldedLayer, FoldedNetwork, traced
from hiddenite.training.exporter.folded_joins import FoldedAdd2d, FoldedConcat2d, FoldedUpsample2d
from hiddenite.training.exporter.graph import IMAGE, INPUT_STEP, check_example, image_bytes
from hiddenite.training.exporter.rules import check_finite
from hiddenite.training.exporter.tracer import copied
from hiddenite.training.layers.alterations import check_unaltered

BATCH_BYTES = 256 * 2**20
"""What a comparison's tensors may take, unless those of a single image take more."""

MAX_BATCH = 500
"""The largest number of images that are compared at once."""

MIN_AGREEMENT = 0.999
"""The least fraction of equal classes with which a file is written."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `export` wrote and how well it agrees with the model.

    Attributes
    ----------
    path : Path
        The file.
    network : Network
        What is in it.
    classes : float
        Fraction of the example's images that get the same class from the file's integers as from
        the folded model, which is the model with its scales and biases rounded as in the file.
    layers : dict of str to float
        For each layer, the fraction of equal integers in that comparison.
    model_classes : float
        Fraction of the example's images that get the same class from the file's integers as from
        the model that was given, whose scales and biases may not be rounded.
    """

    path: Path
    network: Network
    classes: float
    layers: dict[str, float]
    model_classes: float


def export(
    model,
    path,
    example,
    *,
    name="network",
    input_name=IMAGE,
    input_step=INPUT_STEP,
    input_type="uint8",
    classes=None,
):
    """Write a trained model as a network file, and prove what is written.

    The example's images are run through the exact integer inference of the file, through the
    folded model in double precision, where every integer must be the same, through the folded
    model as it is, where 99.9 % of the classes must be, and through the model that was given:
    for its activations each layer must give its integers, but for the rounding of scales and
    biases, and 90 % of its classes must come out (`hiddenite.training.exporter.comparison`).

    Parameters
    ----------
    model : nn.Module
        The model, on any device and in any mode, or what `fold` made of it; it is not changed.
    path : path-like
        An existing file is replaced, once the new one is proven.
    example : float tensor, (N, C, H, W), (N, C, L) or (N, C)
        Images, each value a byte times `input_step`. Rows are images of height 1, features those of
        one pixel.
    name : str
        Name of the network.
    input_name : str
        Name of its input.
    input_step : float
        What one unit of the image's bytes stands for; that of a folded model is known.
    input_type : {"uint8", "int8"}
        Whether bytes are 0 to 255 or -128 to 127; that of a folded model is known.
    classes : sequence of str, optional
        Names of the result's channels.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        The hardware cannot do what the model does, something else than the classes of its modules
        decides what it does (hooks, wrappers), its numbers are not finite, the file cannot be
        written, or the proof fails; nothing is written then.
    """
    if isinstance(model, FoldedNetwork):
        check_unaltered(model, (FoldedNetwork, *get_args(FoldedLayer)))
        graph, folded, input_step = None, copied(model).cpu().eval(), model.input_step
        check_example(example, input_step, model.input_type)
        example = example.detach().cpu().float()
    else:
        model, graph, example = traced(model, example, input_step, input_type)
        folded = FoldedNetwork(graph).eval()
    images = image_bytes(example, input_step, folded.input_type)
    network = to_network(folded, name=name, input_name=input_name, classes=classes)
    path = Path(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        network.save(part)
        written = Network.load(part)
        equal, layers = agreement(folded, written, images)
        _prove(folded, written, images, equal, layers)
        model_classes = equal
        if graph is not None:
            batch = _batch_size(written)
            model_classes = compare(model, graph, folded, written, example, batch)
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{part}: ')}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return Report(
        path=path, network=written, classes=equal, layers=layers, model_classes=model_classes
    )


def to_network(folded, *, name="network", input_name=IMAGE, classes=None):
    """Return the network of a folded model.

    Parameters
    ----------
    folded : FoldedNetwork
        What `fold` returned, trained or not, on any device.
    name, input_name, classes
        As in `export`.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        A layer's weights are not hidden ones, or not of one seed.
    """
    convs = [layer for layer in folded.layers if isinstance(layer, FoldedConv2d)]
    for layer in convs:
        where, weights = f"layer {layer.name!r}", layer.weights
        if weights.kind != "hidden":
            raise InputError(f"{where}: weights must be hidden ones, not {weights.kind}")
        for parameter, tensor in layer.named_parameters():
            check_finite(where, parameter.rpartition(".")[2], tensor)
        if weights.seed != convs[0].weights.seed:
            raise InputError(
                f"{where}: seed must be {convs[0].weights.seed}, as of layer {convs[0].name!r},"
                f" not {weights.seed}"
            )
    channels, height, width = folded.input_shape
    return Network(
        name=name,
        seed=convs[0].weights.seed if convs else 0,
        input=Input(
            name=input_name,
            height=height,
            width=width,
            channels=channels,
            type=folded.input_type,
        ),
        layers=tuple(_golden_layer(layer, {IMAGE: input_name}) for layer in folded.layers),
        classes=classes,
    )


def _golden_layer(layer, renamed):
    """Return a folded layer as one of a network file."""
    inputs = [renamed.get(name, name) for name in layer.inputs]
    if isinstance(layer, FoldedConcat2d):
        return Concat(name=layer.name, inputs=tuple(inputs))
    if isinstance(layer, FoldedUpsample2d):
        return Upsample(name=layer.name, input=inputs[0], factor=layer.factor)
    if isinstance(layer, FoldedAdd2d):
        return Add(
            name=layer.name,
            input=inputs[0],
            scale=layer.scale,
            residual=inputs[1],
            residual_scale=layer.residual_scale,
            shift=layer.shift,
            output=layer.output,
        )
    values = {
        "name": layer.name,
        "input": inputs[0],
        "kernel": layer.kernel_size,
        "stride": layer.stride,
        "padding": layer.padding,
    }
    if not isinstance(layer, FoldedConv2d):
        if layer.scale is None:
            return MaxPool(**values)
        return AvgPool(**values, scale=layer.scale, shift=layer.shift)
    codes = layer.codes().detach().cpu().numpy()
    mask = codes != 0
    wrong = codes != mask * signs(layer.weights.seed, layer.weights.index, mask.shape)
    if wrong.any():
        where = tuple(map(int, np.argwhere(wrong)[0]))
        raise InputError(
            f"layer {layer.name!r}: weights must be 0 or the signs of seed {layer.weights.seed} and"
            f" index {layer.weights.index}, not {codes[where]:g} of channel {where[0]}"
        )
    scale, bias = layer.integers()
    if len(inputs) > 1:
        values |= {"residual": inputs[1], "residual_scale": layer.residual_scale}
    return Conv(
        **values,
        dilation=layer.dilation,
        groups=layer.groups,
        index=layer.weights.index,
        out_channels=len(mask),
        mask=mask,
        scale=scale,
        bias=bias,
        shift=layer.shift,
        output=layer.output,
    )


@torch.no_grad()
def agreement(
    folded, network, images, *, batch=None, progress: Callable[[int], None] | None = None
):
    """Compare a folded model with the exact integers of a network.

    Parameters
    ----------
    folded : FoldedNetwork
        The model, on any device.
    network : Network
        The network, as `to_network` makes it of the model.
    images : uint8 or int8 array, (N, H, W, C)
        Images.
    batch : int, optional
        How many are compared at once; the default is what fits into 256 MiB.
    progress : callable, optional
        Called after each batch with the number of images done so far.

    Returns
    -------
    float
        Fraction of the images whose class, the first largest number of the result, is equal.
    dict of str to float
        For each layer, the fraction of its outputs that are equal.

    Raises
    ------
    InputError
        There are no images, or they do not fit the network.
    """
    check_images(network, images)
    if not len(images):
        raise InputError("images must be at least one, not none")
    device = next(folded.parameters(), torch.empty(0)).device
    equal_classes, equal = 0, {layer.name: 0 for layer in network.layers}
    batch = batch or _batch_size(network)
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        integers = infer_layers(network, part, list(equal))
        inputs = torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2))).to(device)
        for name, output in folded.tensors(inputs.float() * folded.input_step):
            exact = integers[name].transpose(0, 3, 1, 2)
            output = output.cpu().numpy()
            equal[name] += int(np.count_nonzero(output == exact))
        equal_classes += int(np.count_nonzero(_classes(output) == _classes(exact)))
        if progress is not None:
            progress(start + len(part))
    sizes = {name: len(images) * np.prod(network.shapes[name]) for name in equal}
    return equal_classes / len(images), {name: float(equal[name] / sizes[name]) for name in equal}


def _batch_size(network):
    """Return how many images to compare at once."""
    sizes = [height * width * channels for height, width, channels in network.shapes.values()]
    # All integers, and some layers' activations and windows as floating-point numbers.
    return max(1, min(MAX_BATCH, BATCH_BYTES // (sum(sizes) + 64 * max(sizes))))


def _classes(result):
    """Return the first largest number of each result, (N, ...)."""
    return result.reshape(len(result), -1).argmax(1)


def _prove(folded, network, images, equal, layers):
    """Raise `InputError` unless a network gives a folded model's answers for all images."""
    # In double precision, no integer of any layer is rounded.
    _, exact = agreement(copy.deepcopy(folded).double(), network, images)
    for name, fraction in exact.items():
        if fraction < 1:
            raise InputError(
                f"layer {name!r}: all integers must be those of the model,"
                f" not only {fraction:.3%} of them"
            )
    different = round((1 - equal) * len(images))
    if different > 1 and equal < MIN_AGREEMENT:
        worst = min(layers, key=layers.get)
        raise InputError(
            f"layer {worst!r}: float32 must give at least {MIN_AGREEMENT:.1%} of the classes that"
            f" the integers give, not {equal:.3%}; of this layer {layers[worst]:.3%} are equal"
        )
