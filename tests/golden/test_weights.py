import numpy as np
import pytest

from hiddenite.golden.weights import channel_key, initial_state, signs, xorshift32

CHECK_VALUES = {  # of the specification: the first three words for seed 1, index 0
    0: (0x4D15441A, 0x5758ACF1, 0x1A131FD2),
    1: (0x664EADAD, 0xCC91DE50, 0x1C2F1A5D),
    2: (0xFB7B3CFB, 0x006643A9, 0xCA73F3A0),
    255: (0x6072A52A, 0xAE281761, 0x34484163),
}


def test_check_values():
    channels = np.array(list(CHECK_VALUES))
    words = [initial_state(1, 0, channels)]
    words += [xorshift32(words[0]), xorshift32(xorshift32(words[0]))]
    assert np.array(words).T.tolist() == [list(row) for row in CHECK_VALUES.values()]


def test_check_row():
    assert signs(1, 0, (1, 1, 3, 3)).ravel().tolist() == [1, -1, 1, -1, -1, 1, 1, 1, 1]


def test_scalars():
    assert initial_state(1, 0, 255) == CHECK_VALUES[255][0]
    assert xorshift32(CHECK_VALUES[1][0]) == CHECK_VALUES[1][1]


def test_arithmetic_is_modulo_32_bits():
    seed, index, channel = 2**32 - 1, 65_535, 65_534
    expected = (seed + index * 0x9E3779B9 + channel * 0x85EBCA6B) % 2**32
    assert channel_key(seed, index, channel) == expected
    assert channel_key(seed, index, np.array([channel])).dtype == np.uint32
    assert channel_key(seed, index, np.array([channel])).tolist() == [expected]


def inverse_xorshift32(y):
    """Undo the three steps from the last to the first, each bit from the ones already known."""
    for shifted in (lambda x: x << 5, lambda x: x >> 17, lambda x: x << 13):
        x = y
        for _ in range(32):
            x = y ^ (shifted(x) & 0xFFFFFFFF)
        y = x
    return y


def test_state_is_never_zero():
    # The only key whose second scramble gives 0 is the one whose first gives -0x9E3779B9.
    seed = inverse_xorshift32((-0x9E3779B9) % 2**32)
    assert xorshift32(seed) == (-0x9E3779B9) % 2**32
    assert initial_state(seed, 0, 0) == 1
    assert signs(seed, 0, (1, 1, 1, 32)).ravel().tolist() == [-1] + [1] * 31


@pytest.mark.parametrize(
    ("seed", "index", "shape"),
    [
        (1, 0, (3, 3, 3, 3)),
        (7, 5, (2, 4, 1, 1)),
        (2**32 - 1, 65_535, (5, 2, 3, 11)),  # 33 weights a row: two words, the second almost empty
        (0, 1, (2, 3, 2, 16)),  # exactly one word a row
        (123, 2, (2, 2, 5, 20)),
    ],
)
def test_signs_one_by_one(seed, index, shape):
    def scramble(x):
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        return x ^ (x << 5 & 0xFFFFFFFF)

    out_channels, kernel_height, kernel_width, channels = shape
    row_words = (kernel_width * channels + 31) // 32
    result = signs(seed, index, shape)
    assert result.dtype == np.int8
    assert result.shape == shape
    for o in range(out_channels):
        key = (seed + index * 0x9E3779B9 + o * 0x85EBCA6B) % 2**32
        words = [scramble((scramble(key) + 0x9E3779B9) % 2**32) or 1]
        while len(words) < kernel_height * row_words:
            words.append(scramble(words[-1]))
        for ky in range(kernel_height):
            for kx in range(kernel_width):
                for c in range(channels):
                    j = kx * channels + c
                    bit = words[ky * row_words + j // 32] >> j % 32 & 1
                    assert result[o, ky, kx, c] == (-1 if bit else 1)
