import numpy as np
from network_files import write

from hiddenite.golden.network import Add, Concat, MaxPool, Network, Upsample


def document():
    """Return the JSON and the tensors of a valid file with all that version 2 has."""
    layers = [
        {"name": "g1", "op": "conv", "input": "image", "index": 0, "out_channels": 6}
        | {"kernel": [3, 2], "padding": [4, 0, 2, 2], "dilation": [2, 3], "groups": 2}
        | {"shift": 8, "output": "int8"},
        {"name": "s2", "op": "conv", "input": "g1", "index": 1, "out_channels": 6, "kernel": 1}
        | {"shift": 8, "sign": "s2.sign", "residual": "g1", "residual_scale": 9},
        {"name": "p3", "op": "max_pool", "input": "g1", "kernel": 2, "padding": [1, 0, 0, 1]},
        {"name": "p4", "op": "avg_pool", "input": "g1", "kernel": 2, "scale": 4, "shift": 4},
        {"name": "a5", "op": "add", "input": "g1", "scale": 5, "residual": "s2"}
        | {"residual_scale": 6, "shift": 3, "output": "int8"},
        {"name": "k6", "op": "concat", "inputs": ["g1", "a5", "g1"]},
        {"name": "u7", "op": "upsample", "input": "k6", "factor": [2, 3]},
    ]
    tensors = {}
    for layer, weights in ((layers[0], 72), (layers[1], 36)):
        for key, length, dtype in (
            ("mask", -(-weights // 8), np.uint8),
            ("scale", layer["out_channels"], np.int16),
            ("bias", layer["out_channels"], np.int32),
        ):
            layer[key] = f"{layer['name']}.{key}"
            tensors[layer[key]] = np.full(length, 3, dtype)
    tensors["s2.sign"] = np.array([2, 2, 0, 1, 3], np.uint8)
    network = {
        "version": 2,
        "name": "test",
        "seed": 5,
        "input": {"name": "image", "height": 4, "width": 5, "channels": 4, "type": "int8"},
        "layers": layers,
    }
    return network, tensors


def test_valid_document(tmp_path):
    write(tmp_path / "n.safetensors", *document())
    network = Network.load(tmp_path / "n.safetensors")
    assert network.input.type == "int8"
    assert network.shapes == {
        "image": (4, 5, 4),
        "g1": (6, 4, 6),
        "s2": (6, 4, 6),
        "p3": (3, 2, 6),
        "p4": (3, 2, 6),
        "a5": (6, 4, 6),
        "k6": (6, 4, 18),
        "u7": (12, 12, 18),
    }
    assert list(network.types.values()) == ["int8"] * 2 + ["uint8"] + ["int8"] * 5
    g1, s2, p3, _, a5, k6, u7 = network.layers
    assert (g1.dilation, g1.groups, g1.padding) == ((2, 3), 2, (4, 0, 2, 2))
    assert (g1.mask.shape, g1.sign) == ((6, 3, 2, 2), None)
    assert (s2.dilation, s2.groups, s2.padding) == ((1, 1), 1, (0, 0, 0, 0))
    assert np.flatnonzero(s2.mask).tolist() == [0, 1, 8, 9, 16, 17, 24, 25, 32, 33]
    assert np.flatnonzero(s2.sign).tolist() == [1, 9, 24, 32, 33]
    assert p3 == MaxPool(name="p3", input="g1", kernel=2, padding=(1, 0, 0, 1))
    values = {"scale": 5, "residual": "s2", "residual_scale": 6, "shift": 3, "output": "int8"}
    assert a5 == Add(name="a5", input="g1", **values)
    assert k6 == Concat(name="k6", inputs=("g1", "a5", "g1"))
    assert u7 == Upsample(name="u7", input="k6", factor=(2, 3))
    assert [layer.inputs for layer in (a5, k6, u7)] == [("g1", "s2"), ("g1", "a5", "g1"), ("k6",)]
