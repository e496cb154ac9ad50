import numpy as np
import pytest
from random_networks import random_images, random_network

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Conv, Input, MaxPool, Network


def conv(**values):
    values = {"name": "c", "input": "image", "index": 0, "kernel": 1, "shift": 1} | values
    defaults = {
        "out_channels": 2,
        "mask": np.ones((2, 1, 1, 3), bool),
        "scale": np.ones(2, np.int16),
        "bias": np.ones(2, np.int32),
    }
    return Conv(**defaults | values)


def network(*layers, **values):
    image = Input(name="image", height=4, width=4, channels=3)
    return Network(**{"name": "test", "seed": 1, "input": image, "layers": layers} | values)


MASK_RULE = "layer 'c': mask must be bool of shape (2, 1, 1, any), not "


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: conv(mask=np.ones((2, 1, 1, 3), np.uint8)),
         MASK_RULE + "uint8 of shape (2, 1, 1, 3)"),
        (lambda: conv(mask=np.ones((3, 1, 1, 3), bool)), MASK_RULE + "bool of shape (3, 1, 1, 3)"),
        (lambda: conv(mask=np.ones(6, bool)), MASK_RULE + "bool of shape (6)"),
        (lambda: conv(scale=np.ones(2, np.int64)),
         "layer 'c': scale must be int16 of shape (2), not int64 of shape (2)"),
        (lambda: conv(scale=[1, 1]),
         "layer 'c': scale must be an array, int16 of shape (2), not [1, 1]"),
        (lambda: conv(bias=np.ones(3, np.int32)),
         "layer 'c': bias must be int32 of shape (2), not int32 of shape (3)"),
        (lambda: conv(kernel=np.ones((2, 2))),
         "layer 'c': kernel must be one or two integers, not array([[1., 1.], [1., 1.]])"),
        (lambda: conv(name=None), "layer: name must be a string, not None"),
        (lambda: network(conv(mask=np.ones((2, 1, 1, 4), bool))),
         "layer 'c': mask must have the 3 channels of input 'image', not 4"),
        (lambda: network(), "network: layers must be a list of at least one, not ()"),
        (lambda: network("c"),
         "network: each of layers must be a Conv, MaxPool, AvgPool, Add, Concat or Upsample,"
         " not 'c'"),
        (lambda: network(conv(), input=(4, 4, 3)),
         "network: input must be an Input, not (4, 4, 3)"),
        (lambda: network(conv(), seed=2**32),
         "network: seed must be 0 to 4294967295, not 4294967296"),
        (lambda: network(conv(input="x")),
         "layer 'c': input 'x' must be defined before it is used"),
        (lambda: network(conv(), conv()), "layer 'c': name 'c' must not be defined twice"),
        (lambda: network(conv()).prefix("d"),
         "network 'test': layer must be one of c, not 'd'"),
    ],
)  # fmt: skip
def test_refused_in_python(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


def test_arrays_are_read_only_copies():
    mask = np.ones((2, 1, 1, 3), bool)
    layer = conv(mask=mask)
    mask[:] = False
    assert layer.mask.all()
    with pytest.raises(ValueError, match="read-only"):
        layer.bias[0] = 0


def test_numpy_integers_are_stored_as_int():
    layer = conv(shift=np.int64(3), kernel=np.array(1)[()], index=np.uint16(9))
    assert layer == conv(shift=3, index=9)
    assert [type(v) for v in (layer.shift, layer.index, *layer.kernel)] == [int] * 4


def test_equality():
    assert conv() == conv()
    assert conv() != conv(scale=np.array([1, 2], np.int16))
    assert conv() != conv(mask=np.zeros((2, 1, 1, 3), bool))
    assert conv() != MaxPool(name="c", input="image", kernel=1)
    assert network(conv()) == network(conv())
    assert network(conv()) != network(conv(), seed=2)


def test_prefix():
    layers = [conv(name="a"), conv(name="b"), MaxPool(name="p", input="a", kernel=2)]
    whole = network(*layers, classes=["x", "y"])
    assert whole.prefix("p") == whole
    assert whole.prefix("b") == network(*layers[:2])
    assert list(whole.prefix("a").shapes) == ["image", "a"]


def test_prefix_result_is_layer_output():
    rng = np.random.default_rng(3)
    for _ in range(20):
        whole = random_network(rng)
        images = random_images(rng, whole, 2)
        for layer in whole.layers:
            result = infer(whole.prefix(layer.name), images)
            assert result.shape[1:] == whole.shapes[layer.name]


def test_numbers_of_numpy_are_shown_as_numbers():
    with pytest.raises(InputError, match=r"height must be 1 to 65535, not 0$"):
        Input(name="x", height=np.int64(0), width=1, channels=1)
