"""Compares a network with the model that was given: its result, each layer, its classes.

Nothing is compared with a copy that has been rounded. Each layer gets the activations that the
model itself computes, so that a difference is that layer's own.
"""

import copy
import warnings

import numpy as np
import torch
from torch import fx

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer_layers
from hiddenite.training.exporter.fold import FoldedConv2d, FoldedPool2d
from hiddenite.training.exporter.folded_joins import FoldedAdd2d
from hiddenite.training.exporter.graph import IMAGE, image_bytes
from hiddenite.training.exporter.integers import MAX_BIAS, START, conv_units
from hiddenite.training.exporter.sameness import called, check_same, no_autocast
from hiddenite.training.layers.coded import convolved

MAX_UNITS = 8
"""By how many of 255 units rounding may change a stored activation at most. In random models it is
1 where an accumulator's unit is less than one of the output, and hardly ever more than 4."""

_FLOAT = 1e-5
"""Relative error of a model's own numbers in float32."""

_OUTPUT = 0.01
"""How far, in units, an activation may be from a whole number of them."""

_REMEDY = "export what fold returns, trained further"

_COARSE = 128
"""Scales below this are named as the reason of a difference: half of 1 is 0.4 % of it."""

MIN_CLASSES = 0.9
"""The least fraction of the model's classes with which a file is written. In random untrained
models, rounding changes 1 % of the classes."""


NEAR = 0.1
"""How far apart nearly equal results are at most, in standard deviations of all of them."""


class _Layers(fx.Interpreter):
    """Runs a traced model and compares each of its layers with the network's.

    Parameters
    ----------
    graph : Graph
        The traced model.
    folded : FoldedNetwork
        The network, in double precision.
    """

    def __init__(self, graph, folded):
        super().__init__(graph.module)
        self.extra_traceback = False
        self._plans = {plan.name: plan for plan in graph.layers}
        self._layers = {layer.name: layer for layer in folded.layers}
        self._names = {graph.nodes[name]: name for name in (IMAGE, *self._plans)}
        self._last_use = {name: plan.name for plan in graph.layers for name in plan.inputs}
        self._step, self._shape = graph.image.step, graph.image.shape
        self._units = {}  # activations that are still read
        self.first = 0  # number of the first image
        # What the last layer gives in the model, and by how much rounding may change it.
        self.result: torch.Tensor | None = None
        self.explained: torch.Tensor | None = None

    def run_node(self, n):
        result = super().run_node(n)
        name = self._names.get(n.name)
        if name == IMAGE:
            units = (result.double() / self._step).round()
            self._units = {name: units.reshape(len(units), *self._shape)}
        elif name is not None:
            self._compare(self._plans[name], self._layers[name], result.double())
        return result

    def _compare(self, plan, layer, result):
        inputs = [self._units[name] for name in layer.inputs]
        output = layer(*inputs)
        units = (result / layer.step).reshape(output.shape)
        explained = _explained(plan, layer, inputs, units)
        excess = (output - units).abs() - explained
        if not (excess <= 0).all():
            worst = int(excess.nan_to_num(torch.inf).argmax())
            where = tuple(map(int, np.unravel_index(worst, excess.shape)))
            self._refuse(plan, layer, where, units[where].item(), output[where].item())
        if layer.output != "int32":
            self._units[layer.name] = units.round()
        for name in set(layer.inputs):
            if self._last_use[name] == layer.name:
                del self._units[name]
        self.result, self.explained = result, explained * layer.step

    def _refuse(self, plan, layer, where, expected, found):
        image, channel, *position = where
        reason = "the model does not do there what its trace says"
        if isinstance(layer, FoldedConv2d):
            slope = (conv_units(plan)[0][channel] / layer.step).item() * 2.0**layer.shift
            bias = layer.bias[channel].item()
            if abs(bias) >= MAX_BIAS:
                reason = f"its bias is cut to {bias:.0f}"
            elif abs(slope) > START:
                reason = f"its scale is cut from {slope:.0f} to {START} for the sake of others"
            elif layer.output != "int32" and abs(slope) > MAX_UNITS * 2.0**layer.shift:
                unit = abs(slope) * 2.0**-layer.shift
                reason = (
                    f"its bias is rounded to whole units of its accumulator, each {unit:.3g} here"
                )
            elif abs(slope) < _COARSE:
                reason = f"its scale of {slope:.3g} is rounded, as others are so much larger"
        raise InputError(
            f"layer {layer.name!r}: channel {channel} must give {expected:.6g} as in the model, not"
            f" {found:.6g} (image {self.first + image}, pixel {tuple(position)}): {reason};"
            f" {_REMEDY}"
        )


def _explained(plan, layer, inputs, units):
    """Return by how much rounding to integers may change each output of a layer.

    A scale, a bias and a residual's scale are each rounded by half of 1 at most, which counts as
    often as what it is multiplied by. Outputs are rounded too, 8-bit ones on either side; these
    may change by `MAX_UNITS` at most, whatever explains it.
    """
    if not isinstance(layer, FoldedConv2d | FoldedAdd2d):
        averages = isinstance(layer, FoldedPool2d) and layer.scale is not None
        return torch.full_like(units, 1 + _OUTPUT if averages else _OUTPUT)
    x, *residual = inputs
    half = 0.5 * 2.0**-layer.shift
    if isinstance(layer, FoldedAdd2d):
        slope = half * (x.abs() + residual[0].abs())
        return (slope + 1 + _FLOAT * units.abs()).clamp(max=MAX_UNITS) + _OUTPUT
    codes = layer.weights().double().permute(0, 3, 1, 2)
    centre = conv_units(plan)[1].view(-1, 1, 1)
    sums = convolved(x, codes, None, layer)
    slope = half * (sums - centre).abs()
    for shortcut in residual:
        slope = slope + half * shortcut.abs()
    scale = torch.from_numpy(layer.integers()[0]).double().abs().view(-1, 1, 1)
    level = (plan.value.affine.level.abs() / layer.step).view(-1, 1, 1)
    floats = _FLOAT * (2 * half * scale * (sums.abs() + centre.abs()) + level)
    if layer.output == "int32":
        return slope + half * scale + floats + 0.5 + _OUTPUT
    return (slope + half * scale + floats + 1).clamp(max=MAX_UNITS) + _OUTPUT


@torch.no_grad()
def compare(model, graph, folded, network, example, batch):
    """Compare a network with the model that was given, image by image and layer by layer.

    Parameters
    ----------
    model : nn.Module
        The model, on the CPU and in evaluation mode.
    graph : Graph
        What `trace` found in it.
    folded : FoldedNetwork
        What was made of the graph.
    network : Network
        What is in the file; it equals `folded` in double precision.
    example : float tensor, (N, C, H, W)
        The images, of the model's type.
    batch : int
        How many are compared at once.

    Returns
    -------
    float
        Fraction of the images that get the model's class from the network.

    Raises
    ------
    InputError
        The model's result is not that of its trace; a layer gives other integers than the model for
        the model's own activations, beyond what rounding explains; or more than a tenth of the
        classes differ, those of nearly equal results aside, which the rounding of the last layer
        decides: of many such there is a warning.
    """
    layers = _Layers(graph, copy.deepcopy(folded).double())
    where = f"model {type(model).__name__}"
    name, equal, different = network.layers[-1].name, 0, []
    for start in range(0, len(example), batch):
        images = example[start : start + batch]
        layers.first = start
        with no_autocast():
            traced = layers.run(images)
        result = called(model, where, images)
        check_same(where, result, traced)
        units = image_bytes(images, graph.image.step, network.input.type)
        integers = infer_layers(network, units, [name])[name].transpose(0, 3, 1, 2)
        assert layers.result is not None, "there is at least one layer"
        assert layers.explained is not None, "there is at least one layer"
        rows = layers.result.flatten(1)
        classes = rows.argmax(1)
        found = torch.from_numpy(integers.reshape(len(images), -1)).argmax(1)
        explained = layers.explained.flatten(1)
        margin = _of(rows, classes) - _of(rows, found)
        near = margin <= _of(explained, classes) + _of(explained, found)
        near &= margin <= NEAR * rows.std(correction=0)
        equal += int((classes == found).sum())
        for image in ((classes != found) & ~near).nonzero().flatten().tolist():
            different.append((start + image, int(classes[image]), int(found[image])))
    rate = 1 - MIN_CLASSES
    chance = (rate * MIN_CLASSES * len(example)) ** 0.5  # a standard deviation, of few images
    most = rate * len(example) + chance
    if len(different) > most:
        image, wanted, got = different[0]
        raise InputError(
            f"at least {MIN_CLASSES:.0%} of the classes must be the model's, not"
            f" {equal / len(example):.1%}: roundings add up; image {image} gets {got}, not"
            f" {wanted}; {_REMEDY}"
        )
    if len(example) - equal > most:
        warnings.warn(
            f"only {equal / len(example):.1%} of the classes are the model's: its results are so"
            " nearly equal that rounding them decides",
            stacklevel=4,
        )
    return equal / len(example)


def _of(rows, columns):
    """Return one number of each row."""
    return rows.gather(1, columns[:, None])[:, 0]
