import zlib

import pytest

from hiddenite.golden.errors import InputError
from hiddenite.link.memory_contents import memory_contents


def test_layout():
    contents = memory_contents(b"program", [b"ab", b"cd"], fingerprint=0x12345678)
    fields = bytes([7, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0x78, 0x56, 0x34, 0x12]) + bytes(8)
    assert contents == (
        b"HDNF"
        + zlib.crc32(fields).to_bytes(4, "little")
        + fields
        + b"program"
        + b"".join(image + zlib.crc32(image).to_bytes(4, "little") for image in (b"ab", b"cd"))
    )
    assert memory_contents(b"p", fingerprint=0)[12:20] == bytes(8)


@pytest.mark.parametrize(
    "program, images, message",
    [
        (b"", [], "memory: the program must have at least 1 byte, not 0"),
        (b"p", [b""], "memory: an image must have at least 1 byte, not 0"),
        (
            b"p",
            [b"ab", b"c"],
            "memory: images must be of one length, 2 bytes, not 1 (image 1)",
        ),
        (b"p", [b"a"] * 65536, "memory: there must be at most 65535 images, not 65536"),
        (bytes(1 << 24), [], "memory: must be at most 16777215 bytes, not 16777248"),
    ],
)
def test_refused(program, images, message):
    with pytest.raises(InputError) as caught:
        memory_contents(program, images, fingerprint=0)
    assert str(caught.value) == message
