import dataclasses

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, key_words, network_of, packets, random_conv

from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.schedule import schedule
from hiddenite.compiler.weight_signs import negative_weights
from hiddenite.golden.network import MaxPool
from hiddenite.golden.weights import KEY_CHANNEL
from hiddenite.rtl.program.packets import Opcode

C = CONFIGURATIONS["square"]  # ich is 4
SEED = 11


def lowered(shape, *layers, c=C):
    """Stages of a network, and where its tensors lie."""
    stages, plan = schedule(network_of(shape, *layers, seed=SEED), c)
    return stages[1:], plan.addresses


def grouped(groups, inputs, outputs, kernel=(1, 1), **fields):
    """A conv with groups of so many channels, and the layer that reads it."""
    rng = np.random.default_rng(1)
    conv = random_conv(rng, inputs, groups * outputs, kernel, groups=groups, **fields)
    return conv, MaxPool(name="e", input="conv", kernel=1)


def weights(conv):
    """All weights of a conv: 1, -1, or 0."""
    return conv.mask * np.where(negative_weights(conv, SEED), -1, 1)


def test_a_depthwise_conv_is_one_stage():
    layers = grouped(10, 1, 1, (3, 3), padding=1)
    (stage, _), (image, conv) = lowered((5, 6, 10), *layers)
    assert stage.source.address == image and stage.source.layout.shape == (5, 6, 4)
    assert stage.source.layout.row_steps == (9, 3)
    assert stage.target.address == conv and stage.shape == (5, 6, 10)
    assert (stage.input_step, stage.every, stage.weights) == (1, 1, 90)
    sent, right = weights(stage.conv), weights(layers[0])
    for channel in range(10):
        assert (sent[channel, :, :, channel % 4] == right[channel, :, :, 0]).all()
    assert (sent != 0).sum() == (right != 0).sum()
    assert stage.conv.groups == 1 and stage.conv.sign is not None


def test_stages_that_take_turns():
    layers = grouped(12, 1, 2, residual="r", residual_scale=3)
    residual = random_conv(np.random.default_rng(2), 12, 24, name="r")
    (_, *own, _), (image, r, conv) = lowered((6, 6, 12), residual, *layers)
    assert [stage.every for stage in own] == [2, 2]
    assert [stage.input_step for stage in own] == [1, 1]
    assert [stage.source.address - image for stage in own] == [0, 0]
    assert [stage.residual.address - r for stage in own] == [0, 1]
    assert [stage.target.address - conv for stage in own] == [0, 1]
    channels = np.arange(24).reshape(3, 2, 4).swapaxes(0, 1).reshape(2, 12)
    for stage, these in zip(own, channels, strict=True):
        assert np.array_equal(stage.conv.bias, layers[0].bias[these])
        assert np.array_equal(stage.conv.scale, layers[0].scale[these])
        right = weights(layers[0])[these, 0, 0, 0]
        assert np.array_equal(weights(stage.conv).sum((1, 2, 3)), right)


def test_groups_of_many_channels_have_generated_signs():
    layers = grouped(2, 32, 20)
    own, (image, conv) = lowered((6, 6, 64), *layers)
    own = own[:-1]
    assert [stage.source.address - image for stage in own] == [0, 8]
    assert [stage.target.address - conv for stage in own] == [0, 5]
    assert [stage.first_channel for stage in own] == [0, 20]
    assert [stage.shape for stage in own] == [(6, 6, 20)] * 2
    for stage in own:
        assert stage.conv.sign is None and stage.source.layout.shape == (6, 6, 32)
        assert stage.target.layout.row_steps == (30, 10)
    assert np.array_equal(np.concatenate([s.conv.mask for s in own]), layers[0].mask)


def test_signs_are_those_of_the_layers_channels():
    network = network_of((6, 6, 64), *grouped(2, 32, 20), seed=SEED)
    keys = [
        part[1 : 1 + len(key_words(C, SEED, 3))]
        for part in packets(compile_network(network, C))
        if part[0] & 7 == Opcode.CONV
    ]
    assert keys == [key_words(C, SEED + first * KEY_CHANNEL, 3) for first in (0, 20)]


def test_a_residual_that_is_divided_is_not_written_over():
    layers = grouped(2, 32, 32, residual="r", residual_scale=3)
    first = MaxPool(name="r", input="image", kernel=1)
    stages, plan = schedule(network_of((6, 6, 64), first, *layers), C)
    assert len(stages) == 5
    assert all(tensor.over is None for tensor in plan.tensors)
    # One stage may.
    layers = grouped(64, 1, 1, residual="r", residual_scale=3)
    stages, plan = schedule(network_of((6, 6, 64), first, *layers), C)
    assert [tensor.over is None for tensor in plan.tensors] == [True, True, False]


@pytest.mark.parametrize("output", ["uint8", "int32"])
def test_a_result_is_that_of_one_stage(output):
    conv, _ = grouped(2, 32, 20, output=output)
    (stage,), _ = lowered((6, 6, 64), conv)
    assert stage.target is None and stage.shape == (6, 6, 40)


def test_a_result_of_too_many_words_is_sent_by_a_copy():
    c = dataclasses.replace(C, tile_words=16)
    conv, _ = grouped(2, 60, 20)
    stages, _ = lowered((2, 2, 120), conv, c=c)
    assert [stage.kind for stage in stages] == ["conv", "conv", "copy"]


@pytest.mark.parametrize(
    ("stride", "kernel", "dilation"),
    [((1, 1), (3, 2), (2, 3)), ((2, 1), (5, 2), (1, 3)), ((2, 2), (5, 4), (1, 1))],
)
def test_dilation(stride, kernel, dilation):
    """With several banks and a stride, there are taps without a weight between the others."""
    rng = np.random.default_rng(1)
    layer = random_conv(rng, 4, 4, (3, 2), stride=stride, dilation=(2, 3))
    (stage,), _ = lowered((12, 12, 4), layer)
    assert (stage.kernel, stage.dilation) == (kernel, dilation)
    assert stage.weights == layer.mask.size
    if kernel == layer.kernel:
        assert stage.conv == layer
        return
    sent, right = weights(stage.conv), weights(layer)
    apart = [2 // dilation[0], 3 // dilation[1]]
    assert np.array_equal(sent[:, :: apart[0], :: apart[1]], right)
    assert (sent != 0).sum() == (right != 0).sum()


def test_a_dilation_of_one_tap_is_none():
    layer = random_conv(np.random.default_rng(1), 4, 4, (1, 3), dilation=(3, 2))
    (stage,), _ = lowered((12, 12, 4), layer)
    assert stage.dilation == (1, 2)


@pytest.mark.parametrize("padding", [(0, 0, 2, 1), (2, 1, 0, 0), (1, 2, 2, 0)])
def test_a_window_begins_above_and_left(padding):
    conv = random_conv(np.random.default_rng(1), 4, 4, (3, 3), padding=padding, stride=2)
    stages, _ = schedule(network_of((7, 6, 4), conv), C)
    assert stages[-1].padding == padding[:2]
    height, width = (
        (size + padding[axis] + padding[axis + 2] - 3) // 2 + 1 for axis, size in enumerate((7, 6))
    )
    assert stages[-1].shape == (height, width, 4)
