"""The models of the QONNX model zoo that lie outside the project, on all images of MNIST's test."""

import gzip

import numpy as np
import onnx
import pytest
from conftest import SHARED
from qonnx_reference import run_model

from hiddenite.golden.inference import infer
from hiddenite.importer import convert

FOLDER = SHARED / "data" / "qonnx"


@pytest.fixture(scope="module")
def digits():
    if not FOLDER.is_dir():
        pytest.skip(f"published models are not imported: no folder {FOLDER}")
    files = (("t10k-images-idx3-ubyte.gz", 16), ("t10k-labels-idx1-ubyte.gz", 8))
    arrays = [
        np.frombuffer(gzip.decompress((FOLDER / name).read_bytes()), np.uint8, offset=header)
        for name, header in files
    ]
    return arrays[0].reshape(-1, 28, 28, 1), arrays[1]


@pytest.mark.parametrize(
    ("name", "right"), [("TFC_1W1A", 9296), ("TFC_1W2A", 9474), ("TFC_2W2A", 9660)]
)
def test_classes_of_all_images(digits, name, right):
    images, labels = digits
    path = FOLDER / f"{name}.onnx"
    imported = convert(path)
    found = infer(imported.network, images)[:, 0, 0]
    (expected,) = run_model(onnx.load(path), images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
    # All ten results, but for the factor and the offset of all of them.
    steps = (expected - expected[:, :1]) / imported.result.factor
    np.testing.assert_allclose(found - found[:, :1], steps, rtol=0, atol=1e-3)
    assert (found.argmax(1) == labels).sum() == right
    assert all(way.near == 0 for way in imported.ways)
