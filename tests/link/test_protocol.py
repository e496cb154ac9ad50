import random
import zlib

import pytest

from hiddenite.link.protocol import ESCAPE, FLAG, INFO, LONGEST_BODY, Decoder, Info, Status, encode


def bodies(rng, count=300):
    """Bodies of all lengths with many bytes that must be escaped."""
    return [
        bytes(rng.choice([FLAG, ESCAPE, rng.randrange(256)]) for _ in range(length))
        for length in [2, 3, LONGEST_BODY, *(rng.randrange(2, LONGEST_BODY) for _ in range(count))]
    ]


def test_a_frame_byte_by_byte():
    body = bytes([0x10, FLAG, ESCAPE])
    checksum = zlib.crc32(body).to_bytes(4, "little")
    assert not set(checksum) & {FLAG, ESCAPE}
    assert encode(body) == bytes([FLAG, 0x10, 0x7D, 0x5E, 0x7D, 0x5D]) + checksum + bytes([FLAG])


@pytest.mark.parametrize("shared", [False, True])
def test_decoder_finds_what_was_encoded(shared):
    rng = random.Random(1)
    wanted = bodies(rng)
    frames = b"".join(encode(body)[shared:] for body in wanted)
    frames = bytes([FLAG]) * shared + frames
    decoder, found = Decoder(), []
    while frames:
        size = rng.randrange(1, 700)
        found += decoder.feed(frames[:size])
        frames = frames[size:]
    assert found == wanted and decoder.dropped == 0


def test_every_change_of_a_byte_is_found():
    rng = random.Random(2)
    frame = encode(bodies(rng, 1)[-1][:20])
    for place in range(1, len(frame) - 1):
        for bit in range(8):
            damaged = bytearray(frame)
            damaged[place] ^= 1 << bit
            decoder = Decoder()
            assert decoder.feed(bytes(damaged)) == []
            assert decoder.dropped
            assert decoder.feed(encode(b"good")) == [b"good"]


def test_too_long_is_dropped_and_not_kept():
    decoder = Decoder()
    assert decoder.feed(bytes([FLAG]) + bytes(100_000)) == []
    assert len(decoder._begun) < 1000
    assert decoder.feed(encode(b"next")) == [b"next"]


@pytest.mark.parametrize("length", [0, 1, LONGEST_BODY + 1])
def test_encode_refuses_lengths(length):
    message = f"a body must be 2 to {LONGEST_BODY} bytes, not {length}"
    with pytest.raises(ValueError, match=message):
        encode(bytes(length))


def test_fields_of_the_wrong_length():
    with pytest.raises(ValueError, match="STATUS: must be 16 bytes, not 15"):
        Status.unpack(bytes(15))
    with pytest.raises(ValueError, match="INFO: name must be 1 to 32 characters, not b''"):
        Info.unpack(bytes(2 + INFO.size))
