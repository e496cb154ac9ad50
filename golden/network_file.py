"""The network file, versions 1 and 2: a safetensors file whose metadata holds the network as JSON.

Values are checked by the classes that they become; what is checked here is what only a file can
get wrong: its JSON, and its tensors.
"""

import json
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hiddenite.golden.checks import (
    check_integer,
    check_pair,
    check_string,
    listing,
    one_line,
)
from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import (
    LAYER_CLASSES,
    MAX_SIZE,
    Add,
    Concat,
    Conv,
    Input,
    Tensors,
    Upsample,
    check_groups,
    group_channels,
)
from hiddenite.golden.stored_tensors import StoredTensors

VERSIONS = (1, 2)
"""The versions of the format that are read; the lowest that has all of a network is written."""

METADATA_KEY = "hiddenite"
"""The key of the safetensors metadata that holds the JSON."""

# Far more than any rule allows, and few enough for messages.
_MOST_DIGITS = 40


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
        return _read_network((file.metadata() or {}).get(METADATA_KEY), StoredTensors(file))


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
    tensors: dict[str, np.ndarray] = {}
    mask_names: dict[bytes, str] = {}
    image = dict(vars(network.input))
    if image["type"] == "uint8":
        del image["type"]
    layers = [_layer_entry(layer, tensors, mask_names) for layer in network.layers]
    newer = any(map(_newer, (image, *layers)))
    description = {
        "version": VERSIONS[newer],
        "name": network.name,
        "seed": network.seed,
        "input": image,
        "layers": layers,
    }
    if network.classes is not None:
        description["classes"] = network.classes
    content = save(tensors, metadata={METADATA_KEY: json.dumps(description)})
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def _layer_entry(layer, tensors, mask_names):
    """Return a layer's JSON entry; its arrays go into `tensors`.

    What is of version 2 is left out where it is the default, and so are two of the padding's four
    numbers where they are equal to the others.
    """
    entry = {"name": layer.name, "op": layer.op}
    for item in fields(layer):
        value = getattr(layer, item.name)
        if item.name in ("dilation", "groups") and value == item.default:
            continue
        if item.name == "padding" and value[:2] == value[2:]:
            value = value[:2]
        if isinstance(value, np.ndarray):
            tensor_name = f"{layer.name}.{item.name}"
            if value.dtype == bool:
                value = np.packbits(value, axis=None, bitorder="little")
                tensor_name = mask_names.setdefault(value.tobytes(), tensor_name)
            tensors[tensor_name] = value
            value = tensor_name
        if value is not None:
            entry[item.name] = value
    return entry


_NEWER_OPS = tuple(cls.op for cls in (Add, Concat, Upsample))
_NEWER_KEYS = ("dilation", "groups", "sign")


def _newer(entry):
    """Return what an entry has that is of version 2, in words, or None."""
    if entry.get("op") in _NEWER_OPS:
        return f"op {entry['op']!r}"
    for key in _NEWER_KEYS:
        if key in entry:
            return f"key {key!r}"
    for key in ("type", "output"):
        if entry.get(key) == "int8":
            return f"{key} 'int8'"
    padding = entry.get("padding")
    if isinstance(padding, tuple | list) and len(padding) == 4:
        return "padding of four numbers"
    return None


def _check_version(where, entry, version):
    newer = _newer(entry)
    if version == 1 and newer is not None:
        raise InputError(f"{where}: {newer} must be in a file of version 2, not 1")


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


def _read_network(text, stored):
    if text is None:
        raise InputError(f"metadata must have the key {METADATA_KEY!r}")
    try:
        description = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_constant=_no_number
        )
    except (InputError, ValueError, RecursionError) as error:
        raise InputError(f"metadata {METADATA_KEY!r} must be valid JSON: {error}") from None
    where = "network"
    version = _field(where, description, "version")
    if check_integer(where, "version", version, 0) not in VERSIONS:
        rule = " or ".join(map(str, VERSIONS))
        raise InputError(f"{where}: version must be {rule}, not {one_line(version)}")
    _check_keys(where, description, ("version", "name", "seed", "input", "layers"), ("classes",))
    image = description["input"]
    _check_keys("input", image, ("name", "height", "width", "channels"), ("type",))
    _check_version("input", image, version)
    image = Input(**image)
    entries = description["layers"]
    if not isinstance(entries, list):
        raise InputError(f"{where}: layers must be a list, not {one_line(entries)}")
    tensors = Tensors(image)
    layers = []
    for position, entry in enumerate(entries):
        layers.append(_read_layer(stored, f"layers[{position}]", entry, version, tensors))
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
            raise InputError(f"{where}: key {one_line(key)} is unknown")
        if value is None:
            raise InputError(f"{where}: {key} must not be null")


def _read_layer(stored, where, entry, version, tensors):
    name = check_string(where, "name", _field(where, entry, "name"))
    where = f"layer {one_line(name)}"
    op = check_string(where, "op", _field(where, entry, "op"))
    if op not in LAYER_CLASSES:
        raise InputError(f"{where}: op must be one of {listing(LAYER_CLASSES)}, not {one_line(op)}")
    cls = LAYER_CLASSES[op]
    optional = [item.name for item in fields(cls) if item.default is not MISSING]
    required = [item.name for item in fields(cls) if item.default is MISSING]
    _check_keys(where, entry, ["op", *required], optional)
    _check_version(where, entry, version)
    values = {key: value for key, value in entry.items() if key != "op"}
    if cls is Conv:
        values |= _read_arrays(stored, where, entry, tensors)
    return cls(**values)


def _read_arrays(stored, where, entry, tensors):
    """Return the arrays of a conv."""
    channels = tensors.shape_of(where, "input", entry["input"])[2]
    out_channels = check_integer(where, "out_channels", entry["out_channels"], 1, MAX_SIZE)
    kernel = check_pair(where, "kernel", entry["kernel"], 1)
    groups = check_groups(where, entry.get("groups", 1), out_channels)
    shape = (out_channels, *kernel, group_channels(where, groups, entry["input"], channels))
    arrays = {
        key: stored.bits(where, key, entry[key], shape) for key in ("mask", "sign") if key in entry
    }
    for key, stored_type in (("scale", "I16"), ("bias", "I32")):
        arrays[key] = stored.row(where, key, entry[key], stored_type, out_channels)
    return arrays


def _object(pairs):
    """Return a JSON object as a dict; of two values of one key, none can be the right one."""
    entry = {}
    for key, value in pairs:
        if key in entry:
            raise InputError(f"key {one_line(key)} occurs twice")
        entry[key] = value
    return entry


def _integer(digits):
    if len(digits) > _MOST_DIGITS:
        raise InputError(f"a number has {len(digits)} digits")
    return int(digits)


def _no_number(name):
    raise InputError(f"{name} is no number")
