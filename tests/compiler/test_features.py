import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Add, AvgPool, Concat, Conv, Input, MaxPool, Network, Upsample

C = CONFIGURATIONS["square"]  # ich is 4


def conv(**values):
    values = {"out_channels": 8, "kernel": (1, 1)} | values
    channels = values["out_channels"]
    shape = (channels, *values["kernel"], 8 // values.get("groups", 1))
    row = {"scale": np.ones(channels, np.int16), "bias": np.ones(channels, np.int32)}
    return Conv(
        **{"name": "x", "input": "image", "index": 0, "shift": 8}
        | {"mask": np.ones(shape, bool)}
        | row
        | values
    )


def compiled(layer, c=C, **image):
    image = Input(name="image", height=4, width=4, channels=8, **image)
    layers = [MaxPool(name="p", input="image", kernel=1), layer]
    return compile_network(Network(name="n", seed=1, input=image, layers=layers), c)


SUM = {"name": "x", "input": "image", "residual": "image"}


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        ((2, 3), "factor along x must be 1, 2, 4, 6, 8, 10, 12, 14 or 16 with 4 cols"),
        ((1, 15), "factor along x must be 1, 2, 4, 6, 8, 10, 12, 14 or 16 with 4 cols"),
    ],
)
def test_refused_factor(factor, message):
    with pytest.raises(InputError) as error:
        compiled(Upsample(name="x", input="image", factor=factor), CONFIGURATIONS["wide"])
    assert str(error.value) == f"layer 'x': {message} for the hardware, not {factor[1]}"


@pytest.mark.parametrize(
    "layer",
    [
        conv(kernel=(1, 3), dilation=2, padding=(0, 1)),
        conv(kernel=(2, 2), padding=(1, 0, 0, 0)),
        conv(groups=2),
        conv(groups=4, kernel=(3, 2), dilation=2, padding=2, stride=2),
        conv(sign=np.zeros((8, 1, 1, 8), bool)),
        MaxPool(name="x", input="image", kernel=2, padding=(0, 0, 0, 1)),
        AvgPool(name="x", input="image", kernel=3, padding=(2, 0, 1, 2), scale=9, shift=3),
        Add(**SUM, scale=1, residual_scale=2, shift=1),
        Concat(name="x", inputs=["image", "p", "image"]),
        Upsample(name="x", input="image", factor=(6, 5)),
    ],
)
@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_taken(layer, kind):
    made = "uint8" if layer.op in ("conv", "add") else kind
    assert compiled(layer, type=kind).result_type == made


@pytest.mark.parametrize(
    "layer",
    [
        conv(output="int8"),
        conv(groups=2, output="int8"),
        Add(**SUM, scale=1, residual_scale=2, shift=1, output="int8"),
    ],
)
def test_int8(layer):
    assert compiled(layer).result_type == "int8"
