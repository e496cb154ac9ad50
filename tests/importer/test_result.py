"""The last layer: its integers have the order of the model's results."""

import re

import numpy as np
import onnx
import pytest
from importer_checks import compare
from importer_models import Model

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Conv
from hiddenite.importer import convert


def model(seed=1, features=12):
    """Return a model, its quantised vector, and a generator of numbers."""
    made, rng = Model((20,)), np.random.default_rng(seed)
    x = made.node("Sub", "image", np.float32(127.5))
    x = made.node("MatMul", x, np.sign(rng.normal(size=(20, features))))
    return made, made.node("BipolarQuant", x, np.float32(1)), rng


def test_one_factor_and_whole_offsets(tmp_path):
    made, x, rng = model()
    weights = np.sign(rng.normal(size=(12, 6)))
    x = made.node("Gemm", x, weights, rng.integers(-9, 9, 6).astype(np.float32), alpha=0.5)
    imported = compare(made, made.node("Mul", x, np.float32(3)), tmp_path)
    assert imported.result.factor == 3  # alpha times two units of a bipolar code times 3


@pytest.mark.parametrize("sign", [1, -1])
def test_offsets_with_fractions(tmp_path, sign):
    """Results are never equal, by however little; a residual holds the fractions' ranks."""
    made, x, rng = model()
    bias = rng.choice([0.1, 0.25, 0.5, -0.125, 1e-4], 8).astype(np.float32)
    x = made.node("Gemm", x, np.sign(rng.normal(size=(12, 8))), bias)
    imported = compare(made, made.node("Mul", x, np.float32(sign)), tmp_path, count=300)
    last = imported.network.layers[-1]
    assert last.residual is not None and last.output == "int32"


def test_ties_are_the_models(tmp_path):
    """The first of equal results is the class of both."""
    made, x, _ = model(features=4)
    column = np.array([[1], [1], [-1], [1]], float)
    x = made.node("MatMul", x, np.concatenate([column, -column, column], axis=1))
    imported = compare(made, x, tmp_path, count=200)
    images = np.random.default_rng(0).integers(0, 256, (100, 1, 1, 20)).astype(np.uint8)
    assert {0, 1} >= set(infer(imported.network, images)[:, 0, 0].argmax(1))


def test_factors_of_each_channel_that_are_whole(tmp_path):
    made, x, rng = model()
    x = made.node("MatMul", x, np.sign(rng.normal(size=(12, 5))))
    x = made.node("Mul", x, np.array([1, 2, 3, 0.5, 1], float))
    imported = compare(made, x, tmp_path, count=200)
    assert "compared for all" in imported.result.rule


def test_factors_of_each_channel_that_are_not(tmp_path):
    """Scales of 15 bits cannot keep the order of all that two channels can give."""
    made, x, rng = model(features=200)
    x = made.node("MatMul", x, np.sign(rng.normal(size=(200, 5))))
    x = made.node("Mul", x, rng.uniform(0.5, 1, 5))
    x = made.node("Add", x, rng.normal(0, 5, 5))
    onnx.save(made.build(x), str(tmp_path / "model.onnx"))
    line = (
        r"output 'Add_\d+_out': channels \d and \d have the factors .* give all channels one factor"
    )
    with pytest.raises(InputError, match=line):
        convert(tmp_path / "model.onnx", image_range=(0, 255))


def test_result_of_levels(tmp_path):
    made, x, rng = model()
    x = made.node("MatMul", x, np.sign(rng.normal(size=(12, 6))))
    imported = compare(made, made.quant(x, 2, 4), tmp_path)
    assert imported.result.rule == "the model's levels, as codes"
    assert imported.network.types[imported.network.layers[-1].name] == "int8"


def test_result_of_the_image(tmp_path):
    """What no layer has made becomes 32 bits."""
    made = Model((20,))
    imported = compare(made, made.node("Neg", "image"), tmp_path)
    (last,) = imported.network.layers
    assert isinstance(last, Conv) and last.output == "int32"


def test_function_after_the_result(tmp_path):
    made, x, rng = model()
    x = made.node("Relu", made.node("MatMul", x, np.sign(rng.normal(size=(12, 6)))))
    onnx.save(made.build(x), str(tmp_path / "model.onnx"))
    with pytest.raises(InputError, match=re.escape("node 'Relu_4' (Relu): must not come after")):
        convert(tmp_path / "model.onnx", image_range=(0, 255))
