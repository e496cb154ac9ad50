import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, key_words, network_of, packets, random_conv

from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.schedule import schedule
from hiddenite.golden.network import MaxPool
from hiddenite.golden.weights import KEY_CHANNEL
from hiddenite.rtl.program.packets import Opcode

C = CONFIGURATIONS["square"]  # ich is 4
SEED = 11


def grouped(groups, channels=16, outputs=8, **fields):
    """A conv with groups, and the layer whose output it adds."""
    conv = random_conv(
        np.random.default_rng(1), channels // groups, groups * outputs, groups=groups, **fields
    )
    return conv, MaxPool(name="e", input="conv", kernel=1)


def test_a_stage_for_each_group():
    stages, plan = schedule(network_of((6, 6, 16), *grouped(4)), C)
    assert [stage.kind for stage in stages] == ["load", *["conv"] * 4, "max_pool"]
    own = stages[1:5]
    image, conv = plan.addresses
    assert [stage.source.address - image for stage in own] == [0, 1, 2, 3]
    assert [stage.target.address - conv for stage in own] == [0, 2, 4, 6]
    assert [stage.first_channel for stage in own] == [0, 8, 16, 24]
    for stage in own:
        assert stage.source.layout.shape == (6, 6, 4) and stage.shape == (6, 6, 8)
        assert stage.source.layout.row_steps == (3 * 4, 4)
        assert stage.target.layout.row_steps == (3 * 8, 8)
    layer = grouped(4)[0]
    assert np.array_equal(np.concatenate([s.conv.mask for s in own]), layer.mask)
    assert np.array_equal(np.concatenate([s.conv.bias for s in own]), layer.bias)
    assert np.array_equal(np.concatenate([s.conv.scale for s in own]), layer.scale)


def test_signs_are_those_of_the_layers_channels():
    network = network_of((6, 6, 16), *grouped(2), seed=SEED)
    keys = [
        part[1 : 1 + len(key_words(C, SEED, 3))]
        for part in packets(compile_network(network, C))
        if part[0] & 7 == Opcode.CONV
    ]
    assert keys == [key_words(C, SEED + first * KEY_CHANNEL, 3) for first in (0, 8)]


def test_a_residual_is_divided_as_the_output_is():
    layers = grouped(2, outputs=8, residual="image", residual_scale=3)
    stages, plan = schedule(network_of((6, 6, 16), *layers), C)
    assert [stage.residual.address - plan.addresses[0] for stage in stages[1:3]] == [0, 2]
    # It is not written over: the next stage reads it, too.
    assert all(tensor.over is None for tensor in plan.tensors)


def test_a_result_with_groups_is_sent_by_a_copy():
    conv, _ = grouped(2)
    stages, _ = schedule(network_of((6, 6, 16), conv), C)
    assert [stage.kind for stage in stages] == ["load", "conv", "conv", "copy"]


@pytest.mark.parametrize("padding", [(0, 0, 2, 1), (2, 1, 0, 0), (1, 2, 2, 0)])
def test_a_window_begins_above_and_left(padding):
    conv = random_conv(np.random.default_rng(1), 4, 4, (3, 3), padding=padding, stride=2)
    stages, _ = schedule(network_of((7, 6, 4), conv), C)
    assert stages[-1].padding == padding[:2]
    height, width = (
        (size + padding[axis] + padding[axis + 2] - 3) // 2 + 1 for axis, size in enumerate((7, 6))
    )
    assert stages[-1].shape == (height, width, 4)
