import dataclasses

import numpy as np
import pytest
from random_networks import random_network
from rtl_helpers import CONFIGURATIONS, network_of, random_conv

from hiddenite.compiler.schedule import schedule
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import MaxPool
from hiddenite.rtl.program import Operation

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
    network = network_of(
        (9, 9, 4),
        pool("a", "image", 2),
        pool("b", "image", 2),
        pool("c", "image", 3),
        random_conv(np.random.default_rng(1), 4, 4, input="a", residual="b", residual_scale=1),
        pool("d", "conv", 1),
        pool("e", "c"),
        random_conv(
            np.random.default_rng(1), 4, 4, (1, 1), name="f", input="image", stride=(3, 3),
            residual="e", residual_scale=1,
        ),
    )  # fmt: skip
    stages, _ = schedule(network, C)
    assert names(stages) == [
        ("image", "LOAD"),
        ("c", "MAX_POOL"),
        ("e", "MAX_POOL"),
        ("f", "CONV"),
    ]
    network = network_of(
        (9, 9, 4),
        pool("a", "image", 2),
        pool("b", "image", (2, 3), (1, 1)),
        pool("c", "b", 1, (5, 3)),
        random_conv(
            np.random.default_rng(1), 4, 4, input="image", stride=9,
            residual="x", residual_scale=1,
        ),
    ) if False else network_of(
        (9, 9, 4),
        pool("a", "image", 2, 3),
        random_conv(np.random.default_rng(1), 4, 4, input="image", residual="image",
                    residual_scale=1),
        pool("b", "conv", 2, 3),
        random_conv(np.random.default_rng(1), 4, 4, name="f", input="a", residual="b",
                    residual_scale=1),
    )  # fmt: skip
