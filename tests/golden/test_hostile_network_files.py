"""Files made to take more time or memory than their size, or to fill a terminal."""

import time
from itertools import pairwise

import numpy as np
import pytest
from memory import at_most
from network_files import change, document, document_2, load_error, write

from hiddenite.golden.network import Network


def shared_layers(count, **tensors):
    """Return a file with many convs of 1024 x 1024 weights that share these tensors."""
    network, _ = document_2()
    network["input"] |= {"height": 1, "width": 1, "channels": 1024}
    tensors |= {"scale": np.ones(1024, np.int16), "bias": np.ones(1024, np.int32)}
    conv = {"op": "conv", "out_channels": 1024, "kernel": 1, "shift": 8, "index": 0}
    conv |= {name: name for name in tensors}
    names = ["image", *(f"c{number}" for number in range(count))]
    network["layers"] = [{"name": name, "input": before} | conv for before, name in pairwise(names)]
    return network, tensors


def test_layers_share_tensors_in_memory(tmp_path):
    write(tmp_path / "n", *shared_layers(400, mask=np.full(1024 * 1024 // 8, 0x55, np.uint8)))
    # Masks of bools alone would take 400 MiB.
    with at_most(8 * 2**20):
        layers = Network.load(tmp_path / "n").layers
    assert np.shares_memory(layers[0].mask, layers[399].mask)
    assert layers[0].scale is layers[399].scale and layers[0].bias is layers[399].bias
    # What they share cannot be changed.
    with pytest.raises(ValueError, match="read-only"):
        layers[0].mask[0] = False
    with pytest.raises(ValueError, match="read-only"):
        layers[0].bias[0] = 0


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["layers", 0, "name"], "x" * 10**6),
        (["layers", 0, "op"], "x" * 10**6),
        (["layers", 0, "input"], "x" * 10**6),
        (["layers", 0, "mask"], "x" * 10**6),
        (["layers", 0, "x" * 10**6], 1),
        (["layers", 0, "kernel"], [1] * 10**5),
        (["layers", 0, "kernel"], [10**39, 10**39]),
        (["layers", 0, "out_channels"], 10**39),
        (["layers", 0], [[[[[[[[1] * 10**4] * 3] * 3] * 3]]]]),
        (["layers"], {str(number): number for number in range(10**5)}),
        (["classes"], ["a", [1] * 10**5]),
        (["name"], [1] * 10**5),
        (["seed"], "7" * 10**6),
    ],
    ids=range(13),
)
def test_messages_are_short_whatever_the_file_holds(tmp_path, keys, value):
    network, tensors = document()
    change(network, keys, value)
    # What refers to the name goes wrong first.
    if keys[-1] == "name" and len(keys) == 3:
        network["layers"][0]["shift"] = 0
    write(tmp_path / "n", network, tensors)
    assert len(load_error(tmp_path / "n")) < 400


def test_many_layers_take_time_in_proportion(tmp_path):
    network, tensors = document()
    pool = {"op": "max_pool", "kernel": 1}
    names = ["image", *(f"p{number}" for number in range(20_000))]
    pools = [{"name": name, "input": before} | pool for before, name in pairwise(names)]
    network["layers"] = [*pools, network["layers"][0] | {"input": names[-1]}]
    more = {f"t{number}": np.zeros(1, np.uint8) for number in range(20_000)}
    write(tmp_path / "n", network, tensors | more)
    began = time.process_time()
    assert len(Network.load(tmp_path / "n").layers) == 20_001
    assert time.process_time() - began < 20


def test_layers_share_signs_in_memory_and_time(tmp_path):
    mask = np.full(1024 * 1024 // 8, 0x55, np.uint8)
    network, tensors = shared_layers(3000, mask=mask, sign=mask & 0x11)
    write(tmp_path / "n", network, tensors)
    began = time.process_time()
    with at_most(20 * 2**20):
        layers = Network.load(tmp_path / "n").layers
    assert np.shares_memory(layers[0].sign, layers[-1].sign)
    assert time.process_time() - began < 4
    with pytest.raises(ValueError, match="read-only"):
        layers[0].sign[0] = False


def test_signs_that_share_a_tensor_are_checked_with_each_mask(tmp_path):
    mask = np.full(1024 * 1024 // 8, 0x55, np.uint8)
    network, tensors = shared_layers(3, mask=mask, sign=mask & 0x11)
    network["layers"][2]["mask"] = "other"
    tensors["other"] = mask & 0x44
    write(tmp_path / "n", network, tensors)
    assert load_error(tmp_path / "n") == (
        "layer 'c2': sign must be 0 where the mask is 0, not 1 as in output channel 0 at y 0, x 0,"
        " input channel 0 of its group"
    )


def test_many_inputs_take_time_in_proportion(tmp_path):
    network, _ = document_2()
    names = ["image", *(f"k{number}" for number in range(5000))]
    network["input"]["channels"] = 1
    network["layers"] = [
        {"name": name, "op": "concat", "inputs": ["image"] * 63 + [before]}
        for before, name in pairwise(names[:900])
    ]
    network["layers"] += [
        {"name": name, "op": "concat", "inputs": ["image"] * 64} for name in names[900:]
    ]
    write(tmp_path / "n", network, {})
    began = time.process_time()
    assert len(Network.load(tmp_path / "n").layers) == 5000
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("layers", 0, "padding"), [1] * 10**5),
        (("layers", 0, "padding"), [10**39] * 4),
        (("layers", 0, "dilation"), [10**39, 10**39]),
        (("layers", 0, "groups"), 10**39),
        (("layers", 0, "output"), "x" * 10**6),
        (("layers", 1, "sign"), "x" * 10**6),
        (("layers", 5, "inputs"), ["x"] * 10**6),
        (("layers", 5, "inputs"), ["x" * 10**6] * 2),
        (("layers", 5, "inputs"), [[1] * 10**5]),
        (("layers", 6, "factor"), [10**39, 10**39]),
        (("input", "type"), "x" * 10**6),
    ],
    ids=range(11),
)
def test_messages_are_short_in_version_2(tmp_path, keys, value):
    network, tensors = document_2()
    change(network, keys, value)
    write(tmp_path / "n", network, tensors)
    assert len(load_error(tmp_path / "n")) < 400
