import json

import numpy as np
import pytest
from network_files import DELETE, change, document, load_error, write
from random_networks import random_network
from safetensors.numpy import load_file, save_file

from hiddenite.golden.errors import InputError
from hiddenite.golden.network import AvgPool, Input, MaxPool, Network


def test_valid_document(tmp_path):
    write(tmp_path / "n.safetensors", *document())
    network = Network.load(tmp_path / "n.safetensors")
    assert (network.name, network.seed, network.classes) == ("test", 5, ("a", "b", "c", "d", "e"))
    assert network.input == Input(name="image", height=4, width=5, channels=2)
    assert network.shapes == {
        "image": (4, 5, 2),
        "c1": (4, 5, 3),
        "c2": (4, 5, 3),
        "p3": (2, 2, 3),
        "p4": (2, 2, 3),
        "c5": (1, 1, 5),
    }
    assert list(network.types.values()) == ["uint8"] * 5 + ["int32"]
    c1, c2, p3, p4, c5 = network.layers
    assert (c1.kernel, c1.stride, c1.padding) == ((3, 3), (1, 1), (1, 1, 1, 1))
    assert (c1.residual, c1.residual_scale, c1.inputs) == (None, None, ("image",))
    assert (c2.residual, c2.residual_scale, c2.inputs) == ("c1", 256, ("c1", "c1"))
    assert p3 == MaxPool(name="p3", input="c2", kernel=(2, 2), stride=(2, 2), padding=(0, 0))
    assert p4 == AvgPool(name="p4", input="c2", kernel=2, stride=2, padding=0, scale=4, shift=4)
    assert (c5.output, c5.padding, c5.mask.shape) == ("int32", (0, 0, 0, 0), (5, 2, 2, 3))
    assert c1.mask.dtype == bool
    assert np.flatnonzero(c1.mask).tolist() == list(range(0, 54, 8))  # bit 0 of each byte first
    assert (c1.scale.dtype, c1.bias.dtype) == (np.int16, np.int32)


INPUT, LAYERS = ("input",), ("layers",)
C1, C2, P3, P4, C5 = ((*LAYERS, number) for number in range(5))

JSON_REFUSALS = [
    # (keys), value, message
    (("version",), 0, "network: version must be 1 or 2, not 0"),
    (("version",), 3, "network: version must be 1 or 2, not 3"),
    (("version",), True, "network: version must be an integer, not True"),
    (("version",), DELETE, "network: key 'version' is missing"),
    (("name",), 5, "network: name must be a string, not 5"),
    (("name",), DELETE, "network: key 'name' is missing"),
    (("name",), None, "network: name must not be null"),
    (("author",), "x", "network: key 'author' is unknown"),
    (("seed",), -1, "network: seed must be 0 to 4294967295, not -1"),
    (("seed",), 2**32, "network: seed must be 0 to 4294967295, not 4294967296"),
    (("seed",), 1.0, "network: seed must be an integer, not 1.0"),
    (("seed",), DELETE, "network: key 'seed' is missing"),
    (("classes",), "abc", "network: classes must be a list of strings, not 'abc'"),
    (("classes",), ["a", 1], "network: each of classes must be a string, not 1"),
    (INPUT, [4, 5, 2], "input: must be a JSON object, not [4, 5, 2]"),
    (INPUT, DELETE, "network: key 'input' is missing"),
    ((*INPUT, "name"), 1, "input: name must be a string, not 1"),
    ((*INPUT, "height"), DELETE, "input: key 'height' is missing"),
    ((*INPUT, "height"), 0, "input: height must be 1 to 65535, not 0"),
    ((*INPUT, "width"), 65_536, "input: width must be 1 to 65535, not 65536"),
    ((*INPUT, "channels"), False, "input: channels must be an integer, not False"),
    ((*INPUT, "channels"), "3", "input: channels must be an integer, not '3'"),
    ((*INPUT, "depth"), 8, "input: key 'depth' is unknown"),
    (LAYERS, DELETE, "network: key 'layers' is missing"),
    (LAYERS, {}, "network: layers must be a list, not {}"),
    (LAYERS, [], "network: layers must be a list of at least one, not []"),
    (C2, "c2", "layers[1]: must be a JSON object, not 'c2'"),
    ((*C2, "name"), DELETE, "layers[1]: key 'name' is missing"),
    ((*C2, "name"), ["a"], "layers[1]: name must be a string, not ['a']"),
    ((*C2, "name"), "c1", "layer 'c1': name 'c1' must not be defined twice"),
    ((*C2, "name"), "image", "layer 'image': name 'image' must not be defined twice"),
    ((*C2, "op"), DELETE, "layer 'c2': key 'op' is missing"),
    ((*C2, "op"), "relu", "layer 'c2': op must be one of conv, max_pool, avg_pool, add, concat,"
     " upsample, not 'relu'"),
    ((*C2, "op"), [], "layer 'c2': op must be a string, not []"),
    ((*C2, "input"), DELETE, "layer 'c2': key 'input' is missing"),
    ((*C2, "input"), 7, "layer 'c2': input must be a string, not 7"),
    ((*C2, "input"), "c2", "layer 'c2': input 'c2' must be defined before it is used"),
    ((*P3, "input"), "x\ny", "layer 'p3': input 'x\\ny' must be defined before it is used"),
    ((*P3, "input"), ["c2"], "layer 'p3': input must be a string, not ['c2']"),
    ((*C1, "output"), "int32", "layer 'c2': input 'c1' must be uint8 or int8, not int32"),
    ((*C1, "output"), 8, "layer 'c1': output must be 'uint8', 'int8' or 'int32', not 8"),
    ((*C1, "index"), DELETE, "layer 'c1': key 'index' is missing"),
    ((*C1, "index"), 65_536, "layer 'c1': index must be 0 to 65535, not 65536"),
    ((*C1, "index"), -1, "layer 'c1': index must be 0 to 65535, not -1"),
    ((*C1, "out_channels"), 0, "layer 'c1': out_channels must be 1 to 65535, not 0"),
    ((*C1, "out_channels"), 65_536, "layer 'c1': out_channels must be 1 to 65535, not 65536"),
    ((*C1, "out_channels"), 3.5, "layer 'c1': out_channels must be an integer, not 3.5"),
    ((*C1, "kernel"), DELETE, "layer 'c1': key 'kernel' is missing"),
    ((*C1, "kernel"), [3, 3, 3], "layer 'c1': kernel must be one or two integers, not [3, 3, 3]"),
    ((*C1, "kernel"), "3x3", "layer 'c1': kernel must be one or two integers, not '3x3'"),
    ((*C1, "kernel"), [3, 0], "layer 'c1': kernel must be at least 1, not 0"),
    ((*C1, "kernel"), True, "layer 'c1': kernel must be an integer, not True"),
    ((*C1, "stride"), 0, "layer 'c1': stride must be at least 1, not 0"),
    ((*C1, "stride"), [1, 1.5], "layer 'c1': stride must be an integer, not 1.5"),
    ((*C1, "stride"), None, "layer 'c1': stride must not be null"),
    ((*C1, "padding"), 3, "layer 'c1': padding must be 0 to 2, not 3"),
    ((*C1, "padding"), [0, -1], "layer 'c1': padding must be at least 0, not -1"),
    ((*P3, "padding"), [0, 2], "layer 'p3': padding must be 0 to 1, not 2"),
    ((*P3, "kernel"), [6, 2], "layer 'p3': kernel height must be at most the padded map's height 4"
     ", not 6"),
    ((*P3, "kernel"), [2, 6], "layer 'p3': kernel width must be at most the padded map's width 5"
     ", not 6"),
    ((*P3, "scale"), 4, "layer 'p3': key 'scale' is unknown"),
    ((*C1, "shift"), 0, "layer 'c1': shift must be 1 to 24, not 0"),
    ((*C1, "shift"), 25, "layer 'c1': shift must be 1 to 24, not 25"),
    ((*C1, "shift"), DELETE, "layer 'c1': key 'shift' is missing"),
    ((*C2, "residual"), DELETE, "layer 'c2': residual_scale 256 is given without residual"),
    ((*C2, "residual_scale"), DELETE, "layer 'c2': residual 'c1' is given without residual_scale"),
    ((*C2, "residual_scale"), 2**24,
     "layer 'c2': residual_scale must be 0 to 16777215, not 16777216"),
    ((*C2, "residual_scale"), -1, "layer 'c2': residual_scale must be 0 to 16777215, not -1"),
    ((*C2, "residual_scale"), 0.5, "layer 'c2': residual_scale must be an integer, not 0.5"),
    ((*C2, "residual"), 1, "layer 'c2': residual must be a string, not 1"),
    ((*C2, "residual"), "p3", "layer 'c2': residual 'p3' must be defined before it is used"),
    ((*C2, "residual"), "c2", "layer 'c2': residual 'c2' must be defined before it is used"),
    ((*C2, "residual"), "image",
     "layer 'c2': residual 'image' must have the output's shape (4, 5, 3), not (4, 5, 2)"),
    ((*P4, "scale"), DELETE, "layer 'p4': key 'scale' is missing"),
    ((*P4, "scale"), 0, "layer 'p4': scale must be 1 to 32767, not 0"),
    ((*P4, "scale"), 32_768, "layer 'p4': scale must be 1 to 32767, not 32768"),
    ((*P4, "shift"), 0, "layer 'p4': shift must be 1 to 24, not 0"),
    ((*P4, "shift"), 25, "layer 'p4': shift must be 1 to 24, not 25"),
    ((*C1, "mask"), "m", "layer 'c1': mask tensor 'm' is missing"),
    ((*C1, "mask"), 1, "layer 'c1': mask must be a string, not 1"),
    ((*C1, "scale"), "s", "layer 'c1': scale tensor 's' is missing"),
    ((*C1, "bias"), "b", "layer 'c1': bias tensor 'b' is missing"),
    ((*C1, "bias"), "c1.scale",
     "layer 'c1': bias tensor 'c1.scale' must be int32 of shape [3], not int16 of shape [3]"),
    ((*C1, "out_channels"), 4,
     "layer 'c1': mask tensor 'c1.mask' must be uint8 of shape [9], not uint8 of shape [7]"),
]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("keys", "value", "message"), JSON_REFUSALS, ids=str)
def test_refused_json(tmp_path, version, keys, value, message):
    network, tensors = document()
    network["version"] = version
    change(network, keys, value)
    write(tmp_path / "n.safetensors", network, tensors)
    assert load_error(tmp_path / "n.safetensors") == message


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("c1.mask", np.ones(6, np.uint8), "must be uint8 of shape [7], not uint8 of shape [6]"),
        ("c1.mask", np.ones(8, np.uint8), "must be uint8 of shape [7], not uint8 of shape [8]"),
        ("c1.mask", np.ones((7, 1), np.uint8), "must be uint8 of shape [7], not uint8 of shape"
         " [7, 1]"),
        ("c1.mask", np.ones(7, bool), "must be uint8 of shape [7], not BOOL of shape [7]"),
        ("c1.mask", np.array([0] * 6 + [0x40], np.uint8),
         "must end with 2 zero bits, not with the byte 0x40"),
        ("c2.scale", np.ones(3, np.int32), "must be int16 of shape [3], not int32 of shape [3]"),
        ("c2.scale", np.ones(2, np.int16), "must be int16 of shape [3], not int16 of shape [2]"),
        ("c2.bias", np.ones(3, np.float32), "must be int32 of shape [3], not F32 of shape [3]"),
        ("c2.bias", np.ones(4, np.int32), "must be int32 of shape [3], not int32 of shape [4]"),
    ],
)  # fmt: skip
def test_refused_tensors(tmp_path, name, tensor, message):
    network, tensors = document()
    tensors[name] = tensor
    write(tmp_path / "n.safetensors", network, tensors)
    layer, key = name.split(".")
    message = f"layer {layer!r}: {key} tensor {name!r} {message}"
    assert load_error(tmp_path / "n.safetensors") == message


def test_residual_of_32_bits(tmp_path):
    network, tensors = document()
    layers = network["layers"]
    layers[0]["output"] = "int32"
    layers[1] |= {"input": "image", "mask": "c1.mask"}
    write(tmp_path / "n.safetensors", network, tensors)
    expected = "layer 'c2': residual 'c1' must be uint8 or int8, not int32"
    assert load_error(tmp_path / "n.safetensors") == expected


def test_output_too_large(tmp_path):
    network, tensors = document()
    network["input"]["height"] = 65_535
    network["layers"][:] = [network["layers"][0] | {"padding": 2}]
    write(tmp_path / "n.safetensors", network, tensors)
    expected = "layer 'c1': output height must be 1 to 65535, not 65537"
    assert load_error(tmp_path / "n.safetensors") == expected


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "metadata must have the key 'hiddenite'"),
        ({"format": "pt"}, "metadata must have the key 'hiddenite'"),
        ({"hiddenite": "{"}, "metadata 'hiddenite' must be valid JSON: Expecting property name "),
        ({"hiddenite": ""}, "metadata 'hiddenite' must be valid JSON: Expecting value: line 1"),
        ({"hiddenite": "[" * 100_000}, "metadata 'hiddenite' must be valid JSON: "),
        (
            {"hiddenite": '{"seed": NaN}'},
            "metadata 'hiddenite' must be valid JSON: NaN is no number",
        ),
        ({"hiddenite": "-Infinity"}, "metadata 'hiddenite' must be valid JSON: -Infinity is no"),
        (
            {"hiddenite": f'{{"seed": {"9" * 5000}}}'},
            "metadata 'hiddenite' must be valid JSON: a number has 5000 digits",
        ),
        (
            {"hiddenite": '{"seed": 1, "seed": 2}'},
            "metadata 'hiddenite' must be valid JSON: key 'seed' occurs twice",
        ),
        ({"hiddenite": "[]"}, "network: must be a JSON object, not []"),
    ],
)
def test_refused_metadata(tmp_path, metadata, message):
    save_file({"x": np.zeros(1, np.uint8)}, tmp_path / "n.safetensors", metadata=metadata)
    assert load_error(tmp_path / "n.safetensors").startswith(message)


def test_refused_files(tmp_path):
    path = tmp_path / "n.safetensors"
    assert load_error(path) == "no such file"
    assert load_error(tmp_path) == "must be a network file, not a directory"
    path.write_bytes(b"")
    assert load_error(path).startswith("must be a safetensors file: ")
    path.write_bytes(b"\x00" * 100)
    assert load_error(path).startswith("must be a safetensors file: ")
    write(path, *document())
    path.write_bytes(path.read_bytes()[:-1])
    assert load_error(path).startswith("must be a safetensors file: ")


def test_file_cannot_be_written(tmp_path):
    write(tmp_path / "n.safetensors", *document())
    network = Network.load(tmp_path / "n.safetensors")
    path = tmp_path / "folder" / "n.safetensors"
    with pytest.raises(InputError) as error:
        network.save(path)
    assert str(error.value) == f"{path}: cannot be written: No such file or directory"


def test_saved_networks_are_loaded_equal(tmp_path):
    rng = np.random.default_rng(4)
    for _ in range(50):
        saved = random_network(rng)
        saved.save(tmp_path / "n.safetensors")
        assert Network.load(tmp_path / "n.safetensors") == saved


def test_saved_file_is_as_specified(tmp_path):
    path = tmp_path / "n.safetensors"
    write(path, *document())
    network, tensors = document()
    Network.load(path).save(path)
    saved = load_file(path)
    # The masks of c1, c2 and c5 differ in length, so each is there.
    assert saved.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert saved[name].dtype == tensor.dtype
        assert saved[name].tobytes() == tensor.tobytes()
    header = path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")]
    metadata = json.loads(header)["__metadata__"]
    assert list(metadata) == ["hiddenite"]
    description = json.loads(metadata["hiddenite"])
    for layer in network["layers"]:
        kernel = layer["kernel"]
        layer["kernel"] = kernel if isinstance(kernel, list) else [kernel, kernel]
        layer["stride"] = layer["kernel"] if "pool" in layer["op"] else [1, 1]
        layer.setdefault("padding", [0, 0])
        if layer["op"] == "conv":
            layer.setdefault("output", "uint8")
    assert description == network


def test_equal_masks_are_stored_once(tmp_path):
    path = tmp_path / "n.safetensors"
    network, tensors = document()
    tensors["c2.mask"][0] = 3  # not the start of the other masks
    network["layers"].insert(1, network["layers"][0] | {"name": "d", "mask": "d.mask"})
    tensors["d.mask"] = tensors["c1.mask"]
    write(path, network, tensors)
    loaded = Network.load(path)
    loaded.save(path)
    names = [name for name in load_file(path) if "mask" in name]
    assert sorted(names) == ["c1.mask", "c2.mask", "c5.mask"]
    assert Network.load(path) == loaded


def test_one_mask_of_several_shapes(tmp_path):
    network, tensors = document()
    # 54 weights, and as many bytes for 56.
    other = network["layers"][0] | {"name": "c2", "kernel": 1, "padding": 0, "out_channels": 28}
    other |= {"scale": "s", "bias": "b"}
    network["layers"] = [network["layers"][0], other]
    tensors["c1.mask"] = np.arange(7, dtype=np.uint8)
    tensors |= {"s": np.ones(28, np.int16), "b": np.ones(28, np.int32)}
    write(tmp_path / "n", network, tensors)
    for layer, count in zip(Network.load(tmp_path / "n").layers, (54, 56), strict=True):
        expected = np.unpackbits(tensors["c1.mask"], count=count, bitorder="little")
        np.testing.assert_array_equal(layer.mask.reshape(-1), expected)
