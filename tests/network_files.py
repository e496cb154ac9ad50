"""Network files that tests write by hand, to spoil them one value at a time."""

import json

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
