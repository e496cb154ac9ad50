import pytest

from hiddenite.golden.errors import InputError
from hiddenite.link.memory_contents import memory_contents


def crc(data):
    """CRC-32/BZIP2, bit by bit."""
    register = 0xFFFFFFFF
    for bit in "".join(f"{byte:08b}" for byte in data):
        feedback = register >> 31 ^ int(bit)
        register = register << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if feedback else 0)
    return (register ^ 0xFFFFFFFF).to_bytes(4, "big")


def test_layout():
    contents = memory_contents(b"program", [b"ab", b"cd"], fingerprint=0x12345678)
    header = b"HDNF" + bytes([7, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0x78, 0x56, 0x34, 0x12])
    assert crc(b"123456789") == bytes.fromhex("FC891918")
    assert contents == header + crc(header) + b"program" + b"ab" + crc(b"ab") + b"cd" + crc(b"cd")
    assert memory_contents(b"p", fingerprint=0)[8:20] == bytes(12)


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
        (bytes(1 << 24), [], "memory: must be at most 16777215 bytes, not 16777240"),
    ],
)
def test_refused(program, images, message):
    with pytest.raises(InputError) as caught:
        memory_contents(program, images, fingerprint=0)
    assert str(caught.value) == message
