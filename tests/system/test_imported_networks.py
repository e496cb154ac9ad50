"""Imported models on the hardware: learned signs, of weights all of which are kept or some."""

import gzip

import numpy as np
import pytest
from system.cases import Case, faults

from hiddenite.compiler.estimate import estimate
from hiddenite.rtl.configuration import PRESETS

IMAGES = 20


@pytest.mark.parametrize("model", ["TFC_1W1A", "TFC_1W2A", "TFC_2W2A"])
def test_published_models(model, shared_data, engines):
    importer = pytest.importorskip("hiddenite.importer", reason="nothing is imported")
    folder = shared_data("qonnx")
    network = importer.convert(folder / f"{model}.onnx").network
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    images = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1)[:IMAGES]
    cases = [Case.of(network, image, PRESETS["up5k"]) for image in images]
    outcomes = engines.simulation(PRESETS["up5k"]).run([case.run() for case in cases])
    assert not faults(cases, outcomes)
    assert outcomes[0].cycles == pytest.approx(estimate(cases[0].program).cycles, rel=0.02)
