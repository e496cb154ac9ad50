import json

import numpy as np
import pytest
from network_files import DELETE, change, document_2, load_error, write
from safetensors import safe_open
from safetensors.numpy import load_file

from hiddenite.golden.network import Add, Concat, MaxPool, Network, Upsample


def test_valid_document(tmp_path):
    write(tmp_path / "n.safetensors", *document_2())
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


INPUT, LAYERS = ("input",), ("layers",)
G1, S2, P3, P4, A5, K6, U7 = ((*LAYERS, number) for number in range(7))

REFUSALS = [
    # (keys), value, message
    ((*INPUT, "type"), "uint16", "input: type must be 'uint8' or 'int8', not 'uint16'"),
    ((*INPUT, "type"), 8, "input: type must be 'uint8' or 'int8', not 8"),
    ((*INPUT, "type"), None, "input: type must not be null"),
    # convs
    ((*G1, "dilation"), [2, 0], "layer 'g1': dilation must be at least 1, not 0"),
    ((*G1, "dilation"), -1, "layer 'g1': dilation must be at least 1, not -1"),
    ((*G1, "dilation"), 1.5, "layer 'g1': dilation must be one or two integers, not 1.5"),
    ((*G1, "dilation"), [1, True], "layer 'g1': dilation must be an integer, not True"),
    ((*G1, "dilation"), [1, 1, 1],
     "layer 'g1': dilation must be one or two integers, not [1, 1, 1]"),
    ((*G1, "dilation"), None, "layer 'g1': dilation must not be null"),
    ((*G1, "groups"), 0, "layer 'g1': groups must be 1 to 65535, not 0"),
    ((*G1, "groups"), 65_536, "layer 'g1': groups must be 1 to 65535, not 65536"),
    ((*G1, "groups"), [2], "layer 'g1': groups must be an integer, not [2]"),
    ((*G1, "groups"), 3,
     "layer 'g1': groups must divide the 4 channels of input 'image', not be 3"),
    ((*G1, "groups"), 4, "layer 'g1': groups must divide out_channels 6, not be 4"),
    ((*G1, "groups"), 1,
     "layer 'g1': mask tensor 'g1.mask' must be uint8 of shape [18], not uint8 of shape [9]"),
    ((*G1, "padding"), [5, 0, 2, 2], "layer 'g1': padding must be 0 to 4, not 5"),
    ((*G1, "padding"), [4, 4, 2, 2], "layer 'g1': padding must be 0 to 3, not 4"),
    ((*G1, "padding"), [4, 0, 5, 2], "layer 'g1': padding must be 0 to 4, not 5"),
    ((*G1, "padding"), [4, 0, 2, 4], "layer 'g1': padding must be 0 to 3, not 4"),
    ((*G1, "padding"), [4, 0, -1, 2], "layer 'g1': padding must be at least 0, not -1"),
    ((*G1, "padding"), [4, 0, 2, "2"], "layer 'g1': padding must be an integer, not '2'"),
    ((*G1, "padding"), [4, 0, 2],
     "layer 'g1': padding must be one, two or four integers, not [4, 0, 2]"),
    ((*G1, "padding"), [4] * 5,
     "layer 'g1': padding must be one, two or four integers, not [4, 4, 4, 4, 4]"),
    ((*G1, "padding"), "same",
     "layer 'g1': padding must be one, two or four integers, not 'same'"),
    ((*G1, "padding"), [0, 0, 0, 3],
     "layer 'g1': dilated kernel height must be at most the padded map's height 4, not 5"),
    ((*G1, "dilation"), [2, 7],
     "layer 'g1': dilated kernel width must be at most the padded map's width 7, not 8"),
    ((*G1, "output"), "int16",
     "layer 'g1': output must be 'uint8', 'int8' or 'int32', not 'int16'"),
    ((*S2, "sign"), "s", "layer 's2': sign tensor 's' is missing"),
    ((*S2, "sign"), 1, "layer 's2': sign must be a string, not 1"),
    ((*S2, "sign"), None, "layer 's2': sign must not be null"),
    ((*S2, "sign"), "g1.mask",
     "layer 's2': sign tensor 'g1.mask' must be uint8 of shape [5], not uint8 of shape [9]"),
    ((*S2, "sign"), "g1.scale",
     "layer 's2': sign tensor 'g1.scale' must be uint8 of shape [5], not int16 of shape [6]"),
    ((*S2, "residual"), "image",
     "layer 's2': residual 'image' must have the output's shape (6, 4, 6), not (4, 5, 4)"),
    # pools
    ((*P3, "dilation"), 1, "layer 'p3': key 'dilation' is unknown"),
    ((*P3, "groups"), 1, "layer 'p3': key 'groups' is unknown"),
    ((*P3, "output"), "int8", "layer 'p3': key 'output' is unknown"),
    ((*P3, "padding"), [1, 0, 2, 1], "layer 'p3': padding must be 0 to 1, not 2"),
    ((*P4, "residual"), "g1", "layer 'p4': key 'residual' is unknown"),
    # add
    ((*A5, "input"), DELETE, "layer 'a5': key 'input' is missing"),
    ((*A5, "scale"), DELETE, "layer 'a5': key 'scale' is missing"),
    ((*A5, "residual"), DELETE, "layer 'a5': key 'residual' is missing"),
    ((*A5, "residual_scale"), DELETE, "layer 'a5': key 'residual_scale' is missing"),
    ((*A5, "shift"), DELETE, "layer 'a5': key 'shift' is missing"),
    ((*A5, "bias"), "s2.bias", "layer 'a5': key 'bias' is unknown"),
    ((*A5, "inputs"), ["g1", "s2"], "layer 'a5': key 'inputs' is unknown"),
    ((*A5, "residual"), None, "layer 'a5': residual must not be null"),
    ((*A5, "residual"), 1, "layer 'a5': residual must be a string, not 1"),
    ((*A5, "input"), 1, "layer 'a5': input must be a string, not 1"),
    ((*A5, "scale"), 0, "layer 'a5': scale must be 1 to 32767, not 0"),
    ((*A5, "scale"), 32_768, "layer 'a5': scale must be 1 to 32767, not 32768"),
    ((*A5, "scale"), "s2.scale", "layer 'a5': scale must be an integer, not 's2.scale'"),
    ((*A5, "residual_scale"), -1, "layer 'a5': residual_scale must be 0 to 16777215, not -1"),
    ((*A5, "residual_scale"), 2**24,
     "layer 'a5': residual_scale must be 0 to 16777215, not 16777216"),
    ((*A5, "shift"), 0, "layer 'a5': shift must be 1 to 24, not 0"),
    ((*A5, "shift"), 25, "layer 'a5': shift must be 1 to 24, not 25"),
    ((*A5, "output"), "int32", "layer 'a5': output must be 'uint8' or 'int8', not 'int32'"),
    ((*A5, "output"), None, "layer 'a5': output must not be null"),
    ((*A5, "input"), "k6", "layer 'a5': input 'k6' must be defined before it is used"),
    ((*A5, "residual"), "a5", "layer 'a5': residual 'a5' must be defined before it is used"),
    ((*A5, "residual"), "p3",
     "layer 'a5': residual 'p3' must have the output's shape (6, 4, 6), not (3, 2, 6)"),
    ((*A5, "name"), "g1", "layer 'g1': name 'g1' must not be defined twice"),
    # concat
    ((*K6, "inputs"), DELETE, "layer 'k6': key 'inputs' is missing"),
    ((*K6, "input"), "g1", "layer 'k6': key 'input' is unknown"),
    ((*K6, "axis"), 2, "layer 'k6': key 'axis' is unknown"),
    ((*K6, "inputs"), "g1", "layer 'k6': inputs must be a list of names, not 'g1'"),
    ((*K6, "inputs"), {"g1": 1}, "layer 'k6': inputs must be a list of names, not {'g1': 1}"),
    ((*K6, "inputs"), None, "layer 'k6': inputs must not be null"),
    ((*K6, "inputs"), [], "layer 'k6': inputs must be 1 to 64 names, not 0"),
    ((*K6, "inputs"), ["g1"] * 65, "layer 'k6': inputs must be 1 to 64 names, not 65"),
    ((*K6, "inputs"), ["g1", 2], "layer 'k6': each of inputs must be a string, not 2"),
    ((*K6, "inputs"), ["g1", "u7"], "layer 'k6': input 'u7' must be defined before it is used"),
    ((*K6, "inputs"), ["g1", "k6"], "layer 'k6': input 'k6' must be defined before it is used"),
    ((*K6, "inputs"), ["g1", "s2"],
     "layer 'k6': input 's2' must have the type of input 'g1' int8, not uint8"),
    ((*K6, "inputs"), ["g1", "p3"],
     "layer 'k6': input 'p3' must have the height and width of input 'g1' (6, 4), not (3, 2)"),
    ((*K6, "inputs"), ["image", "g1"],
     "layer 'k6': input 'g1' must have the height and width of input 'image' (4, 5), not (6, 4)"),
    # upsample
    ((*U7, "factor"), DELETE, "layer 'u7': key 'factor' is missing"),
    ((*U7, "input"), DELETE, "layer 'u7': key 'input' is missing"),
    ((*U7, "mode"), "nearest", "layer 'u7': key 'mode' is unknown"),
    ((*U7, "factor"), 0, "layer 'u7': factor must be 1 to 16, not 0"),
    ((*U7, "factor"), [1, 17], "layer 'u7': factor must be 1 to 16, not 17"),
    ((*U7, "factor"), [2], "layer 'u7': factor must be one or two integers, not [2]"),
    ((*U7, "factor"), [2, 2.0], "layer 'u7': factor must be an integer, not 2.0"),
    ((*U7, "input"), "u7", "layer 'u7': input 'u7' must be defined before it is used"),
    ((*U7, "input"), ["g1"], "layer 'u7': input must be a string, not ['g1']"),
    ((*U7, "op"), "upsampling", "layer 'u7': op must be one of conv, max_pool, avg_pool, add,"
     " concat, upsample, not 'upsampling'"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "value", "message"), REFUSALS, ids=str)
def test_refused_json(tmp_path, keys, value, message):
    network, tensors = document_2()
    change(network, keys, value)
    write(tmp_path / "n", network, tensors)
    assert load_error(tmp_path / "n") == message


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (np.zeros(4, np.uint8), "tensor 's2.sign' must be uint8 of shape [5], not uint8 of shape"
         " [4]"),
        (np.zeros(5, np.int8), "tensor 's2.sign' must be uint8 of shape [5], not I8 of shape [5]"),
        (np.array([0, 0, 0, 0, 16], np.uint8),
         "tensor 's2.sign' must end with 4 zero bits, not with the byte 0x10"),
        (np.array([0, 0, 0, 0, 4], np.uint8), "must be 0 where the mask is 0, not 1 as in output"
         " channel 5 at y 0, x 0, input channel 4 of its group"),
    ],
)  # fmt: skip
def test_refused_signs(tmp_path, tensor, message):
    network, tensors = document_2()
    tensors["s2.sign"] = tensor
    write(tmp_path / "n", network, tensors)
    assert load_error(tmp_path / "n") == f"layer 's2': sign {message}"


def test_tensors_of_32_bits_are_only_results(tmp_path):
    network, tensors = document_2()
    network["layers"][0]["output"] = "int32"
    network["layers"][1] |= {"input": "image", "kernel": 1}
    for number in range(1, 7):
        layer = network["layers"][number]
        reading = layer | {"input": "g1"} if "input" in layer else layer
        layers = [network["layers"][0], reading]
        write(tmp_path / "n", network | {"layers": layers}, tensors)
        expected = f"layer '{layer['name']}': input 'g1' must be uint8 or int8, not int32"
        assert load_error(tmp_path / "n") == expected


@pytest.mark.parametrize(
    ("channels", "layer", "message"),
    [
        (1024, {"op": "concat", "inputs": ["image"] * 64},
         "output channels must be 1 to 65535, not 65536"),
        (1, {"op": "upsample", "factor": [16, 1]}, "output height must be 1 to 65535, not 65536"),
        (1, {"op": "upsample", "factor": [1, 16]}, "output width must be 1 to 65535, not 65552"),
    ],
)  # fmt: skip
def test_output_too_large(tmp_path, channels, layer, message):
    network, _ = document_2()
    network["input"] |= {"height": 4096, "width": 4097, "channels": channels}
    source = {} if "inputs" in layer else {"input": "image"}
    network["layers"] = [{"name": "x"} | source | layer]
    write(tmp_path / "n", network, {})
    assert load_error(tmp_path / "n") == f"layer 'x': {message}"


def first_version():
    """Return the document without what is of version 2, but for the version itself."""
    network, tensors = document_2()
    del network["input"]["type"], network["layers"][4:]
    g1, s2, p3, _ = network["layers"]
    del g1["dilation"], g1["groups"], g1["output"], s2["sign"]
    g1 |= {"padding": [2, 1], "mask": "m"}
    p3["padding"] = [1, 0]
    tensors["m"] = np.full(18, 3, np.uint8)
    return network, tensors


NEWER = [
    ((*INPUT, "type"), "int8", "input: type 'int8'"),
    ((*G1, "dilation"), 1, "layer 'g1': key 'dilation'"),
    ((*G1, "groups"), 1, "layer 'g1': key 'groups'"),
    ((*G1, "sign"), "m", "layer 'g1': key 'sign'"),
    ((*G1, "output"), "int8", "layer 'g1': output 'int8'"),
    ((*G1, "padding"), [2, 1, 2, 1], "layer 'g1': padding of four numbers"),
    ((*P3, "padding"), [1, 0, 0, 0], "layer 'p3': padding of four numbers"),
    ((*P4, "padding"), [1, 0, 0, 0], "layer 'p4': padding of four numbers"),
    (P3, document_2()[0]["layers"][4], "layer 'a5': op 'add'"),
    (P3, document_2()[0]["layers"][5], "layer 'k6': op 'concat'"),
    (P3, document_2()[0]["layers"][6], "layer 'u7': op 'upsample'"),
]


@pytest.mark.parametrize(("keys", "value", "what"), NEWER, ids=str)
def test_refused_in_version_1(tmp_path, keys, value, what):
    network, tensors = first_version()
    network["version"] = 1
    write(tmp_path / "n", network, tensors)
    Network.load(tmp_path / "n")
    change(network, keys, value)
    write(tmp_path / "n", network, tensors)
    assert load_error(tmp_path / "n") == f"{what} must be in a file of version 2, not 1"


def saved(path, network):
    """Save a network and return the JSON of the file."""
    network.save(path)
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["hiddenite"])


def test_files_are_of_version_1_where_nothing_of_version_2_is_used(tmp_path):
    network, tensors = first_version()
    write(tmp_path / "n", network, tensors)
    loaded = Network.load(tmp_path / "n")
    first = saved(tmp_path / "m", loaded)
    assert first["version"] == 1
    assert Network.load(tmp_path / "m") == loaded
    # What is of version 2 and says nothing new.
    network["input"]["type"] = "uint8"
    for layer in network["layers"][:2]:
        layer |= {"dilation": [1, 1], "groups": 1, "output": "uint8"}
    network["layers"][0]["padding"] = [2, 1, 2, 1]
    write(tmp_path / "n", network, tensors)
    assert Network.load(tmp_path / "n") == loaded
    assert saved(tmp_path / "m", Network.load(tmp_path / "n")) == first


def test_the_type_of_the_input_may_be_in_version_1(tmp_path):
    network, tensors = first_version()
    network["version"] = 1
    network["input"]["type"] = "uint8"
    write(tmp_path / "n", network, tensors)
    assert Network.load(tmp_path / "n").input.type == "uint8"


USED = [
    ((*INPUT, "type"), "int8"),
    ((*G1, "dilation"), [1, 2]),
    ((*G1, "output"), "int8"),
    ((*G1, "padding"), [2, 1, 1, 1]),
    ((*P3, "padding"), [1, 0, 1, 1]),
    ((*P4, "padding"), [0, 0, 1, 0]),
    ((*S2, "sign"), "s2.sign"),
    ((*LAYERS, 0), {"name": "g1", "op": "concat", "inputs": ["image", "image"]}),
]


@pytest.mark.parametrize(("keys", "value"), USED, ids=str)
def test_files_are_of_version_2_where_one_thing_of_it_is_used(tmp_path, keys, value):
    network, tensors = first_version()
    if keys == (*LAYERS, 0):
        del network["layers"][1:]
    change(network, keys, value)
    write(tmp_path / "n", network, tensors)
    loaded = Network.load(tmp_path / "n")
    assert saved(tmp_path / "m", loaded)["version"] == 2
    assert Network.load(tmp_path / "m") == loaded


def test_saved_file_is_as_specified(tmp_path):
    network, tensors = document_2()
    write(tmp_path / "n", network, tensors)
    description = saved(tmp_path / "m", Network.load(tmp_path / "n"))
    _, s2, p3, p4, _, _, _ = network["layers"]
    network["layers"][0]["stride"] = [1, 1]
    s2 |= {"stride": [1, 1], "kernel": [1, 1], "padding": [0, 0], "output": "uint8"}
    p3 |= {"kernel": [2, 2], "stride": [2, 2]}
    p4 |= {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0]}
    assert description == network
    stored = load_file(tmp_path / "m")
    assert stored.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert stored[name].dtype == tensor.dtype
        np.testing.assert_array_equal(stored[name], tensor)


def test_ends_of_the_ranges(tmp_path):
    network, tensors = document_2()
    for values in (
        {"scale": 1, "residual_scale": 0, "shift": 1},
        {"scale": 32_767, "residual_scale": 2**24 - 1, "shift": 24, "output": "uint8"},
    ):
        network["layers"][4] |= values
        network["layers"][5]["inputs"] = ["g1"] * (1 if values["shift"] == 1 else 64)
        network["layers"][6]["factor"] = [1, 16] if values["shift"] == 1 else 16
        write(tmp_path / "n", network, tensors)
        loaded = Network.load(tmp_path / "n")
        assert saved(tmp_path / "m", loaded)["version"] == 2
        assert Network.load(tmp_path / "m") == loaded
    assert loaded.shapes["u7"] == (96, 64, 384)


def test_an_add_is_uint8_unless_said_otherwise(tmp_path):
    network, tensors = document_2()
    del network["layers"][4]["output"]
    del network["layers"][5:]
    write(tmp_path / "n", network, tensors)
    assert Network.load(tmp_path / "n").types["a5"] == "uint8"


def test_masks_and_signs_are_stored_and_read_once(tmp_path):
    network, tensors = document_2()
    tensors["s2.sign"] = tensors["s2.mask"]  # every weight is -1
    network["layers"].append(network["layers"][1] | {"name": "t", "index": 7})
    write(tmp_path / "n", network, tensors)
    loaded = Network.load(tmp_path / "n")
    entries = {entry["name"]: entry for entry in saved(tmp_path / "m", loaded)["layers"]}
    for key in ("mask", "sign"):
        assert entries["s2"][key] == entries["t"][key] == "s2.mask"
    again = Network.load(tmp_path / "m")
    assert again == loaded
    one, other = again.layers[1], again.layers[-1]
    assert np.shares_memory(one.sign, other.sign) and np.shares_memory(one.sign, one.mask)
