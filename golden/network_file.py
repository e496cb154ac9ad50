"""The network file, version 1: a safetensors file whose metadata holds the network as JSON.

Values are checked by the classes that they become; what is checked here is what only a file can
get wrong: its JSON, and its tensors.
"""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hiddenite.golden.checks import check_integer, check_pair, check_string, one_line
from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import LAYER_CLASSES, MAX_SIZE, Conv, Input, Tensors

VERSION = 1
"""The version of the format that is read and written."""

METADATA_KEY = "hiddenite"
"""The key of the safetensors metadata that holds the JSON."""

_STORED_TYPES = {"U8": "uint8", "I16": "int16", "I32": "int32"}


def read(path):
    """Return the fields of the network in a file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    dict of str to object
        The arguments of `Network`.

    Raises
    ------
    InputError
        The file cannot be read or breaks a rule of the format; the message does not name it.
    """
    with _open(path) as file:
        return _read_network(file)


def write(network, path):
    """Write a network to a file, equal masks once.

    Parameters
    ----------
    network : Network
        The network.
    path : path-like
        An existing file is replaced.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    tensors = {}
    mask_names = {}
    description = {
        "version": VERSION,
        "name": network.name,
        "seed": network.seed,
        "input": vars(network.input),
        "layers": [_layer_entry(layer, tensors, mask_names) for layer in network.layers],
    }
    if network.classes is not None:
        description["classes"] = network.classes
    content = save(tensors, metadata={METADATA_KEY: json.dumps(description)})
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def _layer_entry(layer, tensors, mask_names):
    """Return a layer's JSON entry; its arrays go into `tensors`."""
    entry = {"name": layer.name, "op": layer.op}
    for item in fields(layer):
        value = getattr(layer, item.name)
        if isinstance(value, np.ndarray):
            tensor_name = f"{layer.name}.{item.name}"
            if item.name == "mask":
                value = np.packbits(value, axis=None, bitorder="little")
                tensor_name = mask_names.setdefault(value.tobytes(), tensor_name)
            tensors[tensor_name] = value
            value = tensor_name
        if value is not None:
            entry[item.name] = value
    return entry


def _open(path):
    try:
        if Path(path).is_dir():
            raise InputError("must be a network file, not a directory")
        return safe_open(path, framework="numpy")
    except FileNotFoundError:
        raise InputError("no such file") from None
    except OSError as error:
        raise InputError(f"cannot be read: {one_line(str(error))}") from None
    except SafetensorError as error:
        raise InputError(f"must be a safetensors file: {one_line(str(error))}") from None


def _read_network(file):
    text = (file.metadata() or {}).get(METADATA_KEY)
    if text is None:
        raise InputError(f"metadata must have the key {METADATA_KEY!r}")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"metadata {METADATA_KEY!r} must be valid JSON: {error}") from None
    where = "network"
    version = _field(where, description, "version")
    if check_integer(where, "version", version, 0) != VERSION:
        raise InputError(f"{where}: version must be {VERSION}, not {version}")
    _check_keys(where, description, ("version", "name", "seed", "input", "layers"), ("classes",))
    image = description["input"]
    _check_keys("input", image, [item.name for item in fields(Input)])
    image = Input(**image)
    entries = description["layers"]
    if not isinstance(entries, list):
        raise InputError(f"{where}: layers must be a list, not {one_line(entries)}")
    tensors = Tensors(image)
    layers = []
    for position, entry in enumerate(entries):
        layers.append(_read_layer(file, f"layers[{position}]", entry, tensors))
        tensors.define(layers[-1])
    return {
        "name": description["name"],
        "seed": description["seed"],
        "input": image,
        "layers": layers,
        "classes": description.get("classes"),
    }


def _field(where, entry, key):
    """Return the value of a key that a JSON object must have."""
    if not isinstance(entry, dict):
        raise InputError(f"{where}: must be a JSON object, not {one_line(entry)}")
    if key not in entry:
        raise InputError(f"{where}: key {key!r} is missing")
    return entry[key]


def _check_keys(where, entry, required, optional=()):
    for key in required:
        _field(where, entry, key)
    for key, value in entry.items():
        if key not in required and key not in optional:
            raise InputError(f"{where}: key {key!r} is unknown")
        if value is None:
            raise InputError(f"{where}: {key} must not be null")


def _read_layer(file, where, entry, tensors):
    name = check_string(where, "name", _field(where, entry, "name"))
    where = f"layer {name!r}"
    op = check_string(where, "op", _field(where, entry, "op"))
    if op not in LAYER_CLASSES:
        raise InputError(f"{where}: op must be one of {', '.join(LAYER_CLASSES)}, not {op!r}")
    cls = LAYER_CLASSES[op]
    optional = ("stride", "padding", "residual", "residual_scale", "output")
    names = [item.name for item in fields(cls)]
    _check_keys(where, entry, ["op", *(n for n in names if n not in optional)], names)
    values = {key: value for key, value in entry.items() if key != "op"}
    if cls is Conv:
        channels = tensors.shape_of(where, "input", entry["input"])[2]
        out_channels = check_integer(where, "out_channels", entry["out_channels"], 1, MAX_SIZE)
        kernel = check_pair(where, "kernel", entry["kernel"], 1)
        shape = (out_channels, *kernel, channels)
        values["mask"] = _read_mask(file, where, entry["mask"], shape)
        for key, stored_type in (("scale", "I16"), ("bias", "I32")):
            values[key] = _read_tensor(file, where, key, entry[key], stored_type, out_channels)
    return cls(**values)


def _read_tensor(file, where, key, name, stored_type, length):
    if check_string(where, key, name) not in file.keys():  # noqa: SIM118, a file is not a mapping
        raise InputError(f"{where}: {key} tensor {name!r} is missing")
    stored = file.get_slice(name)
    if (stored.get_dtype(), stored.get_shape()) != (stored_type, [length]):
        found = _STORED_TYPES.get(stored.get_dtype(), stored.get_dtype())
        raise InputError(
            f"{where}: {key} tensor {name!r} must be {_STORED_TYPES[stored_type]} of shape"
            f" [{length}], not {found} of shape {stored.get_shape()}"
        )
    return file.get_tensor(name)


def _read_mask(file, where, name, shape):
    out_channels, kernel_height, kernel_width, channels = shape
    count = out_channels * kernel_height * kernel_width * channels
    packed = _read_tensor(file, where, "mask", name, "U8", -(-count // 8))
    if count % 8 and packed[-1] >> count % 8:
        raise InputError(
            f"{where}: mask tensor {name!r} must end with {-count % 8} zero bits,"
            f" not with the byte 0x{packed[-1]:02x}"
        )
    bits = np.unpackbits(packed, count=count, bitorder="little")
    return bits.reshape(shape).astype(bool)
