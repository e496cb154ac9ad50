from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, network_of, random_conv

from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.flatten import flatten
from hiddenite.golden.inference import infer
from hiddenite.golden.network import MaxPool

C = CONFIGURATIONS["square"]  # ich is 4


def fully_connected(shape, **fields):
    rng = np.random.default_rng(1)
    return random_conv(rng, shape[2], 5, shape[:2], **{"output": "int32", **fields})


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ((5, 3, 1), {"learned": True}),
        ((5, 3, 2), {"learned": True, "stride": (2, 2)}),
        # Rows of generated signs that are whole words of the generator, and a single row.
        ((3, 32, 1), {}),
        ((3, 16, 2), {}),
        ((1, 7, 3), {}),
    ],
)
def test_results_are_the_same(shape, fields):
    network = network_of(shape, fully_connected(shape, **fields))
    flat = flatten(network, C)
    size = int(np.prod(shape))
    assert flat.input.shape == (1, 1, size)
    assert flat.layers[0].kernel == (1, 1)
    images = np.random.default_rng(2).integers(0, 256, (3, *shape), np.uint8)
    np.testing.assert_array_equal(
        infer(flat, images.reshape(3, 1, 1, size)), infer(network, images)
    )
    program = compile_network(network, C)
    assert (program.input_shape, program.stream_shape) == (shape, (1, 1, size))
    # In order, 4 lanes filled but for the last beat.
    beats = program.image_beats(images[:1]).reshape(-1)
    assert len(beats) == -(-size // 4) * 4
    assert (beats[:size] == images[0].reshape(-1)).all() and not beats[size:].any()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("learned", [False, True])
def test_convs_of_1x1_in_front(groups, learned):
    shape, rng = (4, 5, 2), np.random.default_rng(3)
    point = random_conv(rng, 2 // groups, 6, (1, 1), groups=groups, learned=learned)
    point = replace(point, name="point", output="int8")
    last = random_conv(rng, 6, 512, (4, 5), learned=True, output="int32")
    network = network_of(shape, point, replace(last, input="point"))
    flat = flatten(network, C)
    assert flat.input.shape == (1, 1, 40)
    assert [layer.groups for layer in flat.layers] == [20 * groups, 1]
    images = rng.integers(0, 256, (3, *shape), np.uint8)
    np.testing.assert_array_equal(infer(flat, images.reshape(3, 1, 1, -1)), infer(network, images))
    compile_network(network, C)
    # The image itself fits, what is made of it does not.
    assert flatten(network, replace(C, largest_channels=64)) is network
    # Few outputs do not make up for the records, and words that are full leave nothing to win.
    few = replace(fully_connected((4, 5, 6), learned=True), input="point")
    network_of_few = network_of(shape, point, few)
    assert flatten(network_of_few, C) is network_of_few
    full = random_conv(rng, 2, 8, (1, 1))
    last = replace(fully_connected((4, 5, 8), learned=True), input="point")
    network_of_full = network_of(shape, replace(full, name="point"), last)
    assert flatten(network_of_full, C) is network_of_full
    # Its result has the shape of the image.
    assert flatten(network.prefix("point"), C).input.shape == shape


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ((5, 3, 1), {}),
        ((5, 3, 4), {"learned": True}),
        ((1, 1, 3), {"learned": True}),
        ((5, 3, 1), {"learned": True, "padding": (1, 0)}),
    ],
)
def test_left_as_it_is(shape, fields):
    network = network_of(shape, fully_connected(shape, **fields))
    assert flatten(network, C) is network


def test_left_as_it_is_for_other_readers_or_too_many_channels():
    shape = 8, 16, 1
    layer = fully_connected(shape, learned=True)
    pool = MaxPool(name="pool", input="image", kernel=1)
    network = network_of(shape, pool, layer)
    assert flatten(network, C) is network
    network = network_of(shape, layer)
    assert flatten(network, replace(C, largest_channels=128)) is not network
    assert flatten(network, replace(C, largest_channels=64)) is network
