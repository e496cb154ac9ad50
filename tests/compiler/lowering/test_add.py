import dataclasses

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, compiled, network_of

from hiddenite.compiler.schedule import schedule
from hiddenite.golden.network import Add, MaxPool
from hiddenite.rtl.program.packets import Operation

POOL = MaxPool(name="p", input="image", kernel=3, stride=1, padding=1)


def adding(scale, residual_scale):
    return Add(
        name="a", input="p", scale=scale, residual="image", residual_scale=residual_scale, shift=9
    )


def last_stages(c, layer, channels=6, *more):
    shape = (4, 6, channels)
    c = dataclasses.replace(c, activation_words=1 << 14)
    return schedule(network_of(shape, POOL, layer, *more), c)[0][2:]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_one_scale_is_that_of_a_pool(name):
    c = CONFIGURATIONS[name]
    (stage,) = last_stages(c, adding(300, 300))
    # A residual without a queue is that of a conv's tile.
    is_pool = name not in ("single", "tall") or c.och <= c.ich or c.pipelining
    assert stage.kind == "add"
    assert stage.operation is (Operation.AVG_POOL if is_pool else Operation.CONV)
    assert stage.residual is not None
    small = dataclasses.replace(CONFIGURATIONS["tall"], pipelining=0)
    assert last_stages(small, adding(300, 300))[0].operation is Operation.CONV


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_two_scales_are_those_of_a_conv(name):
    (stage,) = last_stages(CONFIGURATIONS[name], adding(300, 200))
    assert (stage.kind, stage.operation) == ("add", Operation.CONV)
    assert np.array_equal(abs(stage.conv.scale), [300] * 6)
    assert stage.conv.residual_scale == 200


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("more", [(), [MaxPool(name="e", input="a", kernel=1)]])
def test_a_tile_reads_the_words_of_its_channels(name, more):
    c = CONFIGURATIONS[name]
    stage = last_stages(c, adding(3, 2), 64, *more)[0]
    words = max(1, c.och // c.ich)
    assert stage.shape == (4, 6, 64) and stage.source.layout.groups == stage.input_step == words
    assert stage.conv.mask.shape[3] == words * c.ich
    assert stage.residual.layout.shape == stage.shape


def test_no_weights_of_the_network():
    program = compiled((4, 6, 6), POOL, adding(3, 2), c=CONFIGURATIONS["square"])
    assert program.weights == 0 and program.mask_bits > 0
