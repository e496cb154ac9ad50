"""Signs of the weights, version 1: a function of seed, weight-set index and position.

No weight is ever stored. Training, this module and the hardware compute the same xorshift32
sequence for each output channel and take one bit of it for each weight (``spec: weight signs,
version 1``). All arithmetic is modulo 2**32.
"""

import numpy as np

KEY_INDEX = 0x9E3779B9
"""Step of the key from one weight-set index to the next, also added between the two scrambles."""

KEY_CHANNEL = 0x85EBCA6B
"""Step of the key from one output channel to the next."""

WORD_BITS = 32
"""Signs taken from one state of the generator."""

_BLOCK_WORDS = 2**20


def _modulo(x):
    """Return an array of uint64 modulo 2**32, as uint32."""
    return (x & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def xorshift32(x):
    """Return the state that follows `x` in Marsaglia's 13, 17, 5 generator.

    Parameters
    ----------
    x : int or array of uint32, any shape
        States; 0 is the fixed point that a generator must never be in.

    Returns
    -------
    uint32 or array of uint32, shape of `x`
    """
    x = np.asarray(x, dtype=np.uint32)
    x = x ^ (x << np.uint32(13))
    x = x ^ (x >> np.uint32(17))
    return x ^ (x << np.uint32(5))


def channel_key(seed, index, channel):
    """Return the number that a channel's generator is started from.

    Parameters
    ----------
    seed : int
        The network's seed, 32 bit.
    index : int
        The layer's weight-set index.
    channel : int or array of int, any shape
        Output channels, counted from 0.

    Returns
    -------
    uint32 or array of uint32, shape of `channel`
        ``seed + index * KEY_INDEX + channel * KEY_CHANNEL`` modulo 2**32.
    """
    layer_key = (int(seed) + int(index) * KEY_INDEX) % 2**32
    channel = np.asarray(channel, dtype=np.uint64)  # a 16-bit channel: no product overflows
    return _modulo(np.uint64(layer_key) + channel * np.uint64(KEY_CHANNEL))


def initial_state(seed, index, channels):
    """Return each channel's first word of signs.

    Parameters
    ----------
    seed, index : int
        The network's seed and the layer's weight-set index.
    channels : int or array of int, any shape
        Output channels, counted from 0.

    Returns
    -------
    uint32 or array of uint32, shape of `channels`
        Never 0.
    """
    scrambled = xorshift32(channel_key(seed, index, channels)).astype(np.uint64)
    state = xorshift32(_modulo(scrambled + np.uint64(KEY_INDEX)))
    return np.where(state == 0, np.uint32(1), state)


def signs(seed, index, shape):
    """Return the signs of all the weights of one layer.

    Each row (one output channel, one kernel line) starts on a fresh word of the generator, so it
    takes ``ceil(KW * C / 32)`` words; within the row the channel is fastest.

    Parameters
    ----------
    seed, index : int
        The network's seed and the layer's weight-set index.
    shape : tuple of int
        (O, KH, KW, C): output channels, kernel height and width, input channels of a group.

    Returns
    -------
    int8 array, (O, KH, KW, C)
        +1 or -1.
    """
    out_channels, kernel_height, kernel_width, channels = shape
    result = np.empty((out_channels, kernel_height, kernel_width * channels), np.int8)
    row_words = -(-kernel_width * channels // WORD_BITS)
    state = initial_state(seed, index, np.arange(out_channels))
    # A row of a single weight takes 32 bits, too: all rows at once could take many times the mask.
    lines = max(1, _BLOCK_WORDS // (out_channels * row_words))
    for start in range(0, kernel_height, lines):
        part = result[:, start : start + lines]
        words = _words(state, part.shape[1] * row_words)
        state = xorshift32(words[-1])
        octets = np.ascontiguousarray(words.T).view(np.uint8)
        bits = np.unpackbits(octets, axis=1, bitorder="little")
        rows = bits.reshape(out_channels, -1, row_words * WORD_BITS)[:, :, : result.shape[2]]
        np.subtract(1, 2 * rows.astype(np.int8), out=part)
    return result.reshape(shape)


def _words(first, count):
    """Return `count` states of each generator from its first on: "<u4", (count, generators)."""
    words = np.empty((count, len(first)), "<u4")
    words[0] = first
    # A step is linear over the bits. What it makes of each bit, and what twice as many steps do,
    # doubles the states that are known.
    images = xorshift32(np.uint32(1) << np.arange(WORD_BITS, dtype=np.uint32))
    known = 1
    while known < count:
        more = min(known, count - known)
        words[known : known + more] = _mapped(images, words[:more])
        images = _mapped(images, images)
        known += more
    return words


def _mapped(images, x):
    """Return uint32 states `x` under the linear map that takes bit i to images[i]."""
    result = np.zeros(x.shape, np.uint32)
    for byte in range(0, WORD_BITS, 8):
        table = np.zeros(1, np.uint32)
        for image in images[byte : byte + 8]:
            table = np.concatenate([table, table ^ image])
        result ^= table[x >> np.uint32(byte) & np.uint32(0xFF)]
    return result
