"""What is written into a board's flash (docs/link.md, "The board's own memory")."""

import struct
import zlib
from collections.abc import Sequence

from hiddenite.golden.errors import InputError

__all__ = ["HEADER_BYTES", "MAGIC", "memory_contents"]

MAGIC = b"HDNF"
_FIELDS = struct.Struct("<IIII")
HEADER_BYTES = len(MAGIC) + _FIELDS.size + 4

LARGEST = (1 << 24) - 1
MOST_IMAGES = (1 << 16) - 1

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def memory_contents(program: bytes, images: Sequence[bytes] = (), *, fingerprint: int) -> bytes:
    """Header, program and images.

    Parameters
    ----------
    program : bytes
        `Program.bytes`.
    images : sequence of bytes
        Beats of each image, all of one length.
    fingerprint : int
        That of the configuration.

    Raises
    ------
    InputError
        No program, images of no or of different lengths, too many, or more than 16 MiB.
    """
    if not program:
        raise InputError("memory: the program must have at least 1 byte, not 0")
    size = len(images[0]) if images else 0
    if images and not size:
        raise InputError("memory: an image must have at least 1 byte, not 0")
    for number, image in enumerate(images):
        if len(image) != size:
            raise InputError(
                f"memory: images must be of one length, {size} bytes, "
                f"not {len(image)} (image {number})"
            )
    if len(images) > MOST_IMAGES:
        raise InputError(f"memory: there must be at most {MOST_IMAGES} images, not {len(images)}")
    fields = _FIELDS.pack(len(program), size, len(images), fingerprint)
    contents = b"".join(
        [
            MAGIC + fields + _checksum(MAGIC + fields),
            program,
            *(image + _checksum(image) for image in images),
        ]
    )
    if len(contents) > LARGEST:
        raise InputError(f"memory: must be at most {LARGEST} bytes, not {len(contents)}")
    return contents


def _checksum(data: bytes) -> bytes:
    """CRC-32 with the most significant bit of each byte first, as a flash gives them."""
    return zlib.crc32(data.translate(_REVERSED)).to_bytes(4, "little").translate(_REVERSED)
