import dataclasses

import numpy as np
import pytest
from rtl_helpers import (
    CONFIGURATIONS,
    bias_of_narrow,
    compiled,
    join,
    packets,
    random_conv,
    record_words,
    split,
)

from hiddenite.golden.errors import InputError
from hiddenite.golden.weights import signs
from hiddenite.rtl.program.packets import NARROW, ChannelRecord, words_of

# Of three channels: at the limits of 8 bits, of a narrow record and of more, and just beyond.
BIASES = [
    (127, -128, -1),
    (128, -129, 255),
    (-57_344, -57_344, -57_344),
    (0, -57_345, 0),
    (8_191, -57_344, 8_191),
    (0, 0, 8_192),
    ((1 << 19) - 1, -(1 << 19), 0),
]
SCALES = [32_767, -32_768, -1]


@pytest.mark.parametrize("bias_bits", [16, 20, 34])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_channel_records(name, bias_bits):
    """Each tile has the narrowest form that holds all its biases, and any scale."""
    c = dataclasses.replace(CONFIGURATIONS[name], bias_bits=bias_bits)
    size = words_of(ChannelRecord(c), c.program_bits) * c.program_bits
    narrower = size > (32 if c.program_bits < 64 or c.post_lanes > 1 else 64)
    forms = set()
    for values in BIASES:
        if max(max(b, ~b) for b in values) >> bias_bits - 1:
            continue
        # Nothing is kept, so that sums have no offset; other tiles have what always fits.
        fill = -(-3 // c.och) * c.och
        bias = np.array([*values, *[0] * (fill - 3), -1], np.int32)
        scale = np.resize(SCALES, fill + 1).astype(np.int16)
        conv = random_conv(np.random.default_rng(1), 3, fill + 1, density=0, bias=bias, scale=scale)
        program = compiled((2, 2, 3), conv, c=c)
        for tile, part in enumerate(packets(program)[3:-1]):
            channels = slice(tile * c.och, (tile + 1) * c.och)
            own, scales = bias[channels].tolist(), scale[channels].tolist()
            narrow = bool(part[0] & NARROW)
            assert narrow == (narrower and all(b in range(-57_344, 8_192) for b in own))
            words = part[1 : 1 + record_words(c, len(own), part[0])]
            assert program.record_words[tile] == len(words)
            found = split(join(words, c.program_bits), 32 if narrow else size, len(own))
            assert [value & 0xFFFF for value in found] == [s & 0xFFFF for s in scales]
            if narrow:
                assert [bias_of_narrow(value >> 16) for value in found] == own
            else:
                assert [value >> 16 for value in found] == [b & ((1 << bias_bits) - 1) for b in own]
            forms.add(narrow)
    assert forms == ({False, True} if narrower else {False})


def test_int8_counts_in_biases():
    """A sum that its weights make larger than 16 bits, although one of uint8 has no more."""
    c = dataclasses.replace(CONFIGURATIONS["square"], bias_bits=16)
    conv = random_conv(np.random.default_rng(1), 9, 8, density=1)
    positive = (signs(11, conv.index, conv.mask.shape) > 0).sum((1, 2, 3))
    channel = int(positive.argmin())
    assert positive[channel] < 9 - positive[channel]
    bias = np.zeros(8, np.int32)
    bias[channel] = 32_767 - 255 * positive[channel]
    conv = dataclasses.replace(conv, bias=bias)
    compiled((2, 2, 9), conv, c=c)
    with pytest.raises(InputError) as caught:
        compiled((2, 2, 9), conv, c=c, kind="int8")
    assert str(caught.value) == (
        f"layer 'conv': bias: {bias[channel]} of output channel {channel} and its weights "
        "need 17 bits, has 16: raise bias_bits"
    )
