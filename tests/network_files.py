"""Network files that tests write by hand, to spoil them one value at a time."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network


class _Delete:
    """Stands for a key that is taken out; has one name in every test process."""

    def __str__(self):
        return "deleted"


DELETE = _Delete()


def write(path, network, tensors):
    """Write a network file of this JSON and these tensors."""
    save_file(tensors, path, metadata={"hiddenite": json.dumps(network)})


def change(container, keys, value):
    """Set or delete what lies under a row of keys."""
    for key in keys[:-1]:
        container = container[key]
    if value is DELETE:
        del container[keys[-1]]
    else:
        container[keys[-1]] = value


def load_error(path):
    """Return the message that loading gives, without the path that it starts with."""
    with pytest.raises(InputError) as error:
        Network.load(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert not message.endswith(".")
    return message.removeprefix(f"{path}: ")


def document():
    """Return the JSON and the tensors of a valid file with one layer of each kind."""
    conv = {"op": "conv", "kernel": 3, "padding": [1, 1], "shift": 8}
    layers = [
        {"name": "c1", "input": "image", "index": 0, "out_channels": 3} | conv,
        {"name": "c2", "input": "c1", "index": 1, "out_channels": 3} | conv,
        {"name": "p3", "op": "max_pool", "input": "c2", "kernel": [2, 2]},
        {"name": "p4", "op": "avg_pool", "input": "c2", "kernel": 2, "scale": 4, "shift": 4},
        {"name": "c5", "op": "conv", "input": "p4", "index": 2, "out_channels": 5}
        | {"kernel": [2, 2], "stride": [1, 1], "shift": 24, "output": "int32"},
    ]
    layers[1] |= {"residual": "c1", "residual_scale": 256, "stride": 1}
    tensors = {}
    for layer, weights in ((layers[0], 54), (layers[1], 81), (layers[4], 60)):
        for key, length, dtype in (
            ("mask", -(-weights // 8), np.uint8),
            ("scale", layer["out_channels"], np.int16),
            ("bias", layer["out_channels"], np.int32),
        ):
            layer[key] = f"{layer['name']}.{key}"
            tensors[layer[key]] = np.ones(length, dtype)
    network = {
        "version": 1,
        "name": "test",
        "seed": 5,
        "input": {"name": "image", "height": 4, "width": 5, "channels": 2},
        "classes": ["a", "b", "c", "d", "e"],
        "layers": layers,
    }
    return network, tensors


def document_2():
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
