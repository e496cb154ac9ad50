"""Compares imported networks with their models, tensor by tensor."""

import numpy as np
import onnx
from qonnx_reference import run_model

from hiddenite.golden.inference import infer_layers
from hiddenite.importer import convert

TIE = 1e-5
"""Results that differ by less, relative to the largest, are equal but for float32's rounding."""


def images_for(shape, count, seed):
    """Return images of bytes (N, *shape), some of them of one value or two."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape)).astype(np.uint8)
    for number, value in enumerate((0, 255, 128)):
        images[number] = value
    images[3:6] = rng.choice([0, 255], (3, *shape))
    return images


def compare(made, output, tmp_path, *, count=40, seed=0, image_range=(0.0, 255.0), last=False):
    """Import a model, compare it with what its own executor computes, and return it.

    Every integer of every tensor must be the model's, and the class of each image. Where results
    are equal in real numbers, the network's class must be one of the equal ones.

    Parameters
    ----------
    made : Model
        The model, whose input is N, C, H, W, or anything that has no height and width.
    output : str
        Name of its result.
    last : bool
        Whether its input is N, H, W, C.
    """
    model = made.build(output)
    path = tmp_path / "model.onnx"
    onnx.save(model, str(path))
    imported = convert(path, image_range=image_range)
    network = imported.network
    images = images_for(made.shape, count, seed)
    result, *tensors = run_model(model, images, image_range, list(imported.tensors))
    bytes_ = images if last or images.ndim < 3 else np.moveaxis(images, 1, -1)
    codes = infer_layers(network, bytes_.reshape(count, *network.input.shape))
    for (name, value), tensor in zip(imported.tensors.items(), tensors, strict=True):
        stored = value.source
        values = stored.unit * (codes[stored.name] - stored.zero)
        order = [letter for axis in value.axes for letter in axis]
        values = np.moveaxis(values, ["NHWC".index(letter) for letter in order], range(len(order)))
        np.testing.assert_allclose(
            values.reshape(tensor.shape), tensor, rtol=0, atol=1e-3 * abs(stored.unit), err_msg=name
        )
    integers = codes[network.layers[-1].name].transpose(0, 3, 1, 2).reshape(count, -1)
    check_classes(integers, result.reshape(count, -1))
    if imported.result.factor is not None and result.ndim == 2:
        expected = (result - result[:, :1]) / imported.result.factor
        found = integers.astype(float) - integers[:, :1]
        scale = np.abs(result / imported.result.factor).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale + 1e-3)
    return imported


def check_classes(integers, results):
    """Assert that integers (N, C) choose the classes of results, one of them where some tie."""
    classes, expected = integers.argmax(1), results.argmax(1)
    rows = np.arange(len(integers))
    for row in rows[classes != expected]:
        tied = integers[row].max() == integers[row, expected[row]]
        assert tied, f"image {row} must be of class {expected[row]}, not {classes[row]}"
        margin = results[row, expected[row]] - results[row, classes[row]]
        assert margin <= TIE * np.abs(results[row]).max()
