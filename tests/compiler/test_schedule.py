import dataclasses

import numpy as np
import pytest
from random_networks import random_network
from rtl_helpers import CONFIGURATIONS, network_of, random_conv

from hiddenite.compiler.schedule import schedule
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import MaxPool
from hiddenite.rtl.program.packets import Operation

C = CONFIGURATIONS["square"]


def pool(name, source, stride=1, kernel=1, **fields):
    return MaxPool(name=name, input=source, kernel=kernel, stride=stride, **fields)


def names(stages):
    return [(stage.name, stage.operation.name) for stage in stages]


def test_layers_in_order():
    rng = np.random.default_rng(1)
    network = network_of((6, 6, 3), pool("a", "image", 2, 2), random_conv(rng, 3, 4, input="a"))
    stages, plan = schedule(network, C)
    assert names(stages) == [("image", "LOAD"), ("a", "MAX_POOL"), ("conv", "CONV")]
    assert [stage.shape for stage in stages] == [(6, 6, 3), (3, 3, 3), (3, 3, 4)]
    image, first, last = stages
    assert image.target == first.source and first.target == last.source
    assert last.target is None and image.source is None
    # The image in four planes of 3x3 pixels, which take 2x2 words of each bank; then the pool.
    assert (image.target.address, image.target.layout.words) == (0, 16)
    assert (first.target.address, first.target.layout.words) == (16, 4)
    assert plan.used == 20


def test_layers_that_the_result_does_not_need_are_left_out():
    network = network_of((4, 4, 2), pool("a", "image"), pool("b", "image"), pool("c", "a"))
    assert [name for name, _ in names(schedule(network, C)[0])] == ["image", "a", "c"]


def test_a_tensor_of_several_strides_is_copied():
    conv = random_conv(np.random.default_rng(1), 4, 4, input="a", residual="c", residual_scale=1)
    a, b, c = pool("a", "image", 2, 2), pool("b", "image"), pool("c", "b", 2, 2)
    stages, _ = schedule(network_of((9, 9, 4), a, b, c, conv), C)
    assert names(stages) == [
        ("image", "LOAD"),
        ("image", "MAX_POOL"),
        ("a", "MAX_POOL"),
        ("b", "MAX_POOL"),
        ("c", "MAX_POOL"),
        ("conv", "CONV"),
    ]
    load, copy, first, second, third, last = stages
    assert copy.layer is None and copy.source == load.target
    assert (load.target.layout.phases, copy.target.layout.phases) == ((1, 1), (2, 2))
    assert first.source == copy.target and second.source == load.target
    assert last.residual == third.target


def test_a_tensor_of_one_stride_is_not_copied():
    stages, _ = schedule(network_of((9, 9, 4), pool("a", "image", (2, 3))), C)
    assert names(stages) == [("image", "LOAD"), ("a", "MAX_POOL")]
    assert stages[0].target.layout.phases == (2, 3)


def test_a_window_that_does_not_move_has_no_stride():
    stages, _ = schedule(network_of((3, 9, 4), pool("a", "image", (3, 3), 3)), C)
    assert stages[1].stride == (1, 3)
    assert stages[0].target.layout.phases == (1, 3)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_is_overwritten_that_is_still_read(name):
    """Of random networks: each stage's inputs are what was stored, whatever came between."""
    c = dataclasses.replace(CONFIGURATIONS[name], activation_words=1 << 14)
    rng = np.random.default_rng(3)
    for _ in range(40):
        network = random_network(rng, max_weights=300, max_layers=8)
        stages, plan = schedule(network, c)
        owner = np.full(c.activation_words, -1)
        places = {}
        for number, stage in enumerate(stages):
            for read in (stage.source, stage.residual):
                if read is not None:
                    region = owner[read.address : read.address + read.layout.words]
                    assert (region == places[read.address]).all()
            if stage.target is not None:
                begin, end = stage.target.address, stage.target.address + stage.target.layout.words
                owner[begin:end] = number
                places[begin] = number
                assert end <= plan.used
        assert stages[-1].name == network.layers[-1].name
        assert [s.operation for s in stages].count(Operation.LOAD) == 1


def test_memory_is_used_again():
    layers = [pool(str(n), str(n - 1) if n else "image") for n in range(9)]
    _, plan = schedule(network_of((8, 8, 4), *layers), C)
    assert plan.used == 2 * 16


def test_a_network_without_room_is_refused():
    image, output = (16, 16, 64), (16, 16, 8)
    with pytest.raises(InputError) as caught:
        schedule(network_of(image, pool("a", "image")), dataclasses.replace(C, activation_words=16))
    assert str(caught.value) == (
        "tensor 'image': activation memory: needs 1024 words in each bank, has 16: "
        "raise activation_words"
    )
    layers = pool("a", "image"), pool("b", "a")
    with pytest.raises(InputError) as caught:
        schedule(network_of(output, *layers), dataclasses.replace(C, activation_words=128))
    assert str(caught.value) == (
        "layer 'a': activation memory: needs 256 words in each bank, has 128: "
        "raise activation_words"
    )
