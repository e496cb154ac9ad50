"""Image files: what their headers say, and their pixels, from one of them or from many at once."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hiddenite.golden.errors import InputError
from hiddenite.training.datasets.dataset import Split
from hiddenite.training.datasets.messages import reason

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".webp")
"""What the name of an image ends with."""

MOST_PIXELS = 2**26
"""Pixels of an image file at most; a small file can ask for any number."""

_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "WEBP")
_GREY_MODES = ("1", "L")
# The others have more than 8 bits a channel, which conversion would cut off.
_MODES = (*_GREY_MODES, "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")

_CHUNK = 64
"""Most items that a thread takes at once."""


def pillow():
    """Return the module PIL.Image; raises `InputError` if Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            "folders of images must have Pillow, which `pip install hiddenite[train]` installs"
        ) from None
    # Pillow warns of images that are refused here, and of none that are not.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    return Image


def probe(path: Path):
    """Return ((H, W), whether it is grey) of an image, from its header alone."""
    with _opened(path) as image:
        if image.mode not in _MODES:
            raise InputError(f"image {path}: must have 8 bits a channel, not mode {image.mode}")
        return (image.height, image.width), image.mode in _GREY_MODES


def decode(path: Path, shape: tuple[int, ...], resize: bool):
    """Return the pixels of an image.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        (H, W, C) of the result; C is 1 for grey, 3 for colour.
    resize : bool
        Whether the image may have another size: it is scaled so that it just covers the result,
        whose middle is then cut out.

    Returns
    -------
    uint8 array, (H, W, C)
        The pixels.

    Raises
    ------
    InputError
        The file cannot be decoded, or has another size and is not to be resized.
    """
    height, width, channels = shape
    with _opened(path) as image:
        if not resize and image.size != (width, height):
            raise InputError(
                f"image {path}: must be {height}x{width}, not {image.height}x{image.width}"
            )
        if "transparency" in image.info:
            image = image.convert("RGBA")
        mode = "L" if channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        if image.size != (width, height):
            scale = max(width / image.width, height / image.height)
            # What is seen of the image; quotients may be off by a bit.
            across, down = min(width / scale, image.width), min(height / scale, image.height)
            left, top = (image.width - across) / 2, (image.height - down) / 2
            box = (left, top, left + across, top + down)
            image = image.resize((width, height), pillow().Resampling.BILINEAR, box)
        return np.asarray(image).reshape(shape)


@contextlib.contextmanager
def _opened(path):
    image_module = pillow()
    try:
        with image_module.open(path, formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise InputError(
                    f"image {path}: must have at most {MOST_PIXELS:,} pixels, not"
                    f" {image.height:,}x{image.width:,}"
                )
            yield image
    except InputError:
        raise
    except Exception as error:  # Pillow raises what its decoders stumble over, of any type.
        raise InputError(f"image {path}: cannot be decoded: {reason(error)}") from None


def in_threads(function: Callable, items: Sequence, report: Callable | None = None) -> Iterator:
    """Yield function(item) for each item, in order, computed in threads.

    Parameters
    ----------
    function : callable
        Of one item.
    items : sequence
        The items.
    report : callable, optional
        Called with the number of items that are done, now and then and at the end.
    """
    threads = _processors()
    size = min(_CHUNK, -(-len(items) // threads)) or 1
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    done = 0
    # Made anew each time: threads do not live on in a process that was forked. Decoders run
    # outside Python's lock.
    with ThreadPoolExecutor(threads) as pool:
        for results in pool.map(lambda chunk: [function(item) for item in chunk], chunks):
            yield from results
            done += len(results)
            if report is not None:
                report(done)


def _processors():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class FileSplit(Split):
    """Labelled images in files, decoded when they are asked for.

    Parameters
    ----------
    folder : Path
        The folder of the dataset.
    names : sequence of str
        Paths of the images in it.
    labels : sequence of int
        The class of each image.
    shape : tuple of int
        (H, W, C) of each image.
    resize : bool
        Whether files may have other sizes, see `decode`.
    """

    def __init__(self, folder, names, labels, shape, resize):
        super().__init__(labels, shape)
        self.folder, self.names, self.resize = Path(folder), tuple(names), resize

    def batch(self, indices):
        """Return some images, decoded: uint8, (len(indices), H, W, C)."""
        return self._decoded(np.asarray(indices, np.int64))

    def decode_all(self, report=None):
        """Return all images; `report` is called with the number of those that are done."""
        return self._decoded(range(len(self)), report)

    def _decoded(self, indices, report=None):
        names = [self.names[index] for index in indices]
        images = np.empty((len(names), *self.shape), np.uint8)
        decoded = in_threads(self._decode, names, report)
        for place, image in enumerate(decoded):
            images[place] = image
        return images

    def _decode(self, name):
        return decode(self.folder / name, self.shape, self.resize)

    def _content(self):
        for name in self.names:
            try:
                size = (self.folder / name).stat().st_size
            except OSError as error:
                raise InputError(f"cannot read {self.folder / name}: {reason(error)}") from None
            yield f"{name} {size}\n".encode()
