import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Add, Concat, Conv, Input, MaxPool, Network, Upsample

C = next(iter(CONFIGURATIONS.values()))


def conv(**values):
    shape = (4, *values.pop("kernel", (1, 1)), 4 // values.get("groups", 1))
    row = {"scale": np.ones(4, np.int16), "bias": np.ones(4, np.int32)}
    return Conv(
        **{"name": "x", "input": "image", "index": 0, "out_channels": 4, "shift": 8}
        | {"kernel": shape[1:3], "mask": np.ones(shape, bool)}
        | row
        | values
    )


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (conv(groups=2), "groups must be 1 for the hardware, not 2"),
        (conv(dilation=2), "dilation must be 1 for the hardware, not (2, 2)"),
        (conv(sign=np.zeros((4, 1, 1, 4), bool)),
         "sign must be absent for the hardware, not a tensor"),
        (conv(output="int8"), "output must be 'uint8' or 'int32' for the hardware, not 'int8'"),
        (Add(name="x", input="image", scale=1, residual="image", residual_scale=1, shift=1),
         "op must be 'conv', 'max_pool' or 'avg_pool' for the hardware, not 'add'"),
        (Concat(name="x", inputs=["image"]),
         "op must be 'conv', 'max_pool' or 'avg_pool' for the hardware, not 'concat'"),
        (Upsample(name="x", input="image", factor=2),
         "op must be 'conv', 'max_pool' or 'avg_pool' for the hardware, not 'upsample'"),
    ],
)  # fmt: skip
def test_refused(layer, message):
    image = Input(name="image", height=4, width=4, channels=4)
    layers = [MaxPool(name="p", input="image", kernel=1), layer]
    with pytest.raises(InputError) as error:
        compile_network(Network(name="n", seed=1, input=image, layers=layers), C)
    assert str(error.value) == f"layer 'x': {message}"


def test_refused_input():
    image = Input(name="image", height=4, width=4, channels=4, type="int8")
    network = Network(name="n", seed=1, input=image, layers=[conv()])
    with pytest.raises(InputError) as error:
        compile_network(network, C)
    assert str(error.value) == "input 'image': type must be 'uint8' for the hardware, not 'int8'"
