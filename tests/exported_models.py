"""From a plain model to a network file, and each of its layers against the hidden model's own."""

import copy

import numpy as np
import torch
from torch import fx

from hiddenite.golden.inference import infer_layers
from hiddenite.training.exporter.export import export
from hiddenite.training.exporter.fold import FoldedConv2d, FoldedNetwork, traced
from hiddenite.training.exporter.graph import IMAGE, INPUT_STEP, image_bytes
from hiddenite.training.layers.convert import hide

MOSTLY = 0.3
"""The fraction of a layer's stored activations that must be equal. All are where scales and biases
are exact; a bias is rounded to whole units of the accumulator, each of which may be some steps."""


def random_images(count, shape, dtype=torch.float32, seed=0):
    """Return images (N, C, H, W) of bytes / 255."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
    return torch.from_numpy(pixels).to(dtype) / 255


def trained(plain, images, batches=4, **options):
    """Return a hidden model after some batches, and a step of training if it has gradients."""
    model = hide(plain, images[:1], density=0.5, **options).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(batches):
        result = model(images)
    if result.requires_grad:
        result.square().mean().backward()
        optimizer.step()
    return model.eval()


def check_export(model, path, images, input_type="uint8"):
    """Export a model, check its values, and return the network."""
    network = export(model, path, images, input_type=input_type).network
    check_values(model, network, images, input_type)
    return network


@torch.no_grad()
def check_values(model, network, images, input_type="uint8"):
    """Check the values of a model's network.

    The file's integers must be those of the folded model. Each of its layers gets the model's own
    activations, and must give the model's own, but for roundings.
    """
    _, graph, _ = traced(model, images, INPUT_STEP, input_type)
    folded = copy.deepcopy(FoldedNetwork(graph)).double()
    pixels = image_bytes(images, INPUT_STEP, input_type)
    integers = infer_layers(network, pixels, [layer.name for layer in network.layers])
    for name, output in folded.tensors(images):
        assert np.array_equal(output.permute(0, 2, 3, 1).numpy(), integers[name])
    units = {IMAGE: torch.from_numpy(pixels).permute(0, 3, 1, 2).double()}
    values = _Values(graph)
    result = values.run(images)
    assert torch.equal(result, model(images))
    for layer in folded.layers:
        output = layer(*(units[name] for name in layer.inputs))
        expected = (values.found[layer.name] / layer.step).reshape(output.shape)
        difference = (output - expected).abs()
        unit = 0.0
        if isinstance(layer, FoldedConv2d):  # by how much half a unit of the accumulator counts
            unit = layer.scale.abs().max().item() * 2.0**-layer.shift / 2
        if layer.output != "int32":
            assert difference.max() < unit + 1.01
            assert (difference < 0.5).double().mean() > MOSTLY
        else:
            assert difference.max() < 1.5 * unit + 1
        units[layer.name] = expected.round()
    assert folded(images).shape == result.shape


class _Values(fx.Interpreter):
    """Runs a traced model and keeps the output of each of its layers."""

    def __init__(self, graph):
        super().__init__(graph.module)
        self._names = {node: name for name, node in graph.nodes.items()}
        self.found = {}

    def run_node(self, n):
        result = super().run_node(n)
        if n.name in self._names:
            self.found[self._names[n.name]] = result.double()
        return result
