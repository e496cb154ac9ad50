from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, network_of, random_conv, split, weight_words

from hiddenite.compiler.array_sums import array_sums
from hiddenite.compiler.schedule import schedule
from hiddenite.compiler.weight_signs import negative_weights
from hiddenite.golden.errors import InputError
from hiddenite.rtl.array.builds import build_of

SEED = 11


def sums_of(conv, c, kind="uint8"):
    channels = conv.mask.shape[3]
    stages, _ = schedule(network_of((4, 4, channels), conv, seed=SEED, kind=kind), c)
    return array_sums(SEED, stages[-1], c)


@pytest.mark.parametrize("array", ["tree", "flip"])
@pytest.mark.parametrize("ich", [1, 4, 8, 16])
@pytest.mark.parametrize("learned", [False, True])
def test_sums_of_all_words_of_each_channel(ich, array, learned):
    c = replace(CONFIGURATIONS["square"], ich=ich, och=1, post_lanes=1, constructor_lanes=1,
                array=array)  # fmt: skip
    conv = random_conv(np.random.default_rng(ich), 11, 5, (2, 3), learned=learned)
    sums = sums_of(conv, c)
    expected, largest = [], []
    for words in weight_words(c, conv.mask, conv.sign, SEED, conv.index):
        bits = np.array([split(word, 1, 2 * ich) for word in words], bool)
        mask, negative = bits[:, :ich], bits[:, ich:]
        expected.append(build_of(c).offset(mask, negative).sum())
        largest.append(expected[-1] + 255 * (mask.sum() - negative.sum()))
    assert sums.offset.tolist() == expected
    assert sums.largest.tolist() == largest
    # Activations of int8 are stored as 128 more: sums grow by that where all of them are 0.
    negative = negative_weights(conv, SEED)
    weights = conv.mask.sum((1, 2, 3)) - 2 * negative.sum((1, 2, 3))
    stored = sums_of(conv, c, "int8")
    assert stored.offset.tolist() == (sums.offset + 128 * weights).tolist()
    assert stored.largest.tolist() == largest


def test_the_bound_is_exact():
    c = CONFIGURATIONS["square"]
    conv = random_conv(np.random.default_rng(1), 64, 3, (3, 3))
    sums = sums_of(conv, c)
    bits = int(sums.largest.max()).bit_length()
    sums_of(conv, replace(c, accumulator_bits=bits))
    channel = int(sums.largest.argmax())
    with pytest.raises(InputError) as caught:
        sums_of(conv, replace(c, accumulator_bits=bits - 1))
    assert str(caught.value) == (
        f"layer 'conv': accumulator: {conv.mask[channel].sum()} weights kept in output channel "
        f"{channel} need {bits} bits, has {bits - 1}: raise accumulator_bits"
    )
