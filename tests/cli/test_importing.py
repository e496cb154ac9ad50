import builtins
import json
import sys

import numpy as np
import onnx
import pytest
from importer_models import Model

from hiddenite.golden.network import Network


@pytest.fixture
def model(here):
    """A model in the current directory, and the folder."""
    rng = np.random.default_rng(2)
    made = Model((1, 6, 6))
    x = made.node("BipolarQuant", made.node("Sub", "image", np.float32(0.5)), np.float32(1))
    x = made.node("Conv", x, np.sign(rng.normal(size=(4, 1, 3, 3))))
    x = made.node("Flatten", made.quant(x, 2, 2))
    x = made.node("MatMul", x, np.sign(rng.normal(size=(64, 3))))
    onnx.save(made.build(made.node("Softmax", x, axis=1)), "m.onnx")
    return here


def test_import(run, model):
    ran = run("import", "m.onnx")
    assert (ran.status, ran.err) == (0, "")
    network = Network.load("m.safetensors")
    assert network.name == "made" and network.shapes[network.layers[-1].name] == (1, 1, 3)
    assert "a byte b is taken to be what the model knows as 0 + b / 255 * 1\n" in ran.out
    assert "left to the host: node 'Softmax_" in ran.out
    assert "result: the model's result, but for a factor and an offset" in ran.out
    assert ran.out.splitlines()[-1].startswith("m.safetensors: ")


def test_import_and_infer(run, model):
    np.save("x.npy", np.full((2, 6, 6, 1), 200, np.uint8))
    assert run("import", "m.onnx", "-o", "deep/n", "--name", "mine").status == 0
    assert Network.load("deep/n").name == "mine"
    assert run("infer", "deep/n", "x.npy").status == 0


def test_import_json(run, model):
    ran = run("import", "m.onnx", "--image-range", "-1", "1", "--json")
    facts = json.loads(ran.out)
    assert facts["image_range"] == [-1, 1] and facts["factor"] > 0
    assert [row["op"] for row in facts["layers"]].count("conv") == len(facts["layers"])
    assert facts["quantisers"][0]["near_steps"] == 0
    assert len(facts["for_the_host"]) == 1 and facts["unused"] == []
    assert facts["image"]["type"] == "uint8"


def test_import_of_no_model(refused, here):
    (here / "m.onnx").write_bytes(b"no model")
    line = refused("import", "m.onnx", "-o", "n")
    assert line == "m.onnx: file must be an ONNX model: it is none, or cut"
    assert [path.name for path in here.iterdir()] == ["m.onnx"]


def test_import_of_an_operator_that_is_not_known(refused, here):
    made = Model((1, 6, 6))
    onnx.save(made.build(made.node("Erf", "image")), "m.onnx")
    assert refused("import", "m.onnx") == "m.onnx: node 'Erf_0' (Erf): operator is not known"
    assert [path.name for path in here.iterdir()] == ["m.onnx"]


def test_import_without_its_package(refused, model, monkeypatch):
    for name in [*sys.modules]:
        if name.split(".")[0] == "onnx" or name.startswith("hiddenite.importer"):
            monkeypatch.delitem(sys.modules, name)
    plain = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return plain(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert refused("import", "m.onnx") == (
        "import must have the package 'onnx', which is not installed:"
        " pip install 'hiddenite[import]'"
    )
