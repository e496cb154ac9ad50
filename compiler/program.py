"""A compiled network: the words for the program stream, and what a host needs to use them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hiddenite.rtl.configuration import Configuration

from .mask_stream import MaskStream
from .memory_plan import MemoryPlan
from .stage import Stage

__all__ = ["Program"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """Program of one network for one configuration.

    Attributes
    ----------
    configuration : Configuration
    batch : int
        Images that it runs at once.
    words : numpy.ndarray of uint64
        What the program stream carries, once for each batch.
    input_shape, result_shape : (int, int, int)
        Height, width, channels of an image.
    result_type : str
        ``"uint8"``, ``"int8"`` or ``"int32"``.
    stages : list of Stage
        What the engine does.
    memory : MemoryPlan
        Where its tensors lie, and when.
    table_words : list of int
        Words of the layer table of each stage.
    record_words : list of int
        Words that carry channel records, for each tile of output channels of each conv in turn.
    mask_words : list of int
        Likewise, words that carry masks.
    masks : MaskStream
        Where these words come from.
    weights : int
        Number of weights of the network's layers in the program, kept or not.
    mask_entropy : float
        Bits that the masks would take at their layers' entropy.
    """

    configuration: Configuration
    batch: int
    words: np.ndarray
    input_shape: tuple[int, int, int]
    result_shape: tuple[int, int, int]
    result_type: str
    stages: list[Stage]
    memory: MemoryPlan
    table_words: list[int]
    record_words: list[int]
    mask_words: list[int]
    masks: MaskStream
    weights: int
    mask_entropy: float

    @cached_property
    def construction_cycles(self) -> list[int]:
        """Cycles that the constructor takes for each tile of `mask_words` when no word stalls.

        Found when it is asked for: following the lanes takes longer than compiling.
        """
        return self.masks.cycles(self.record_words)

    @property
    def bytes(self) -> bytes:
        """The words as bytes, least significant first."""
        size = self.configuration.program_bits // 8
        return self.words.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :size].tobytes()

    @property
    def mask_bits(self) -> int:
        """Bits of the program that carry masks, filling included."""
        return sum(self.mask_words) * self.configuration.program_bits

    def batches(self, images: np.ndarray) -> list[np.ndarray]:
        """Batches of images, the last one filled up with its last image."""
        last = np.repeat(images[-1:], -len(images) % self.batch, axis=0)
        filled = np.concatenate([images, last])
        return [filled[at : at + self.batch] for at in range(0, len(filled), self.batch)]

    @property
    def stream_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of an image as the image stream has it.

        The bytes are in the same order as in an image of `input_shape`.
        """
        return self.stages[0].shape

    def image_beats(self, images: np.ndarray) -> np.ndarray:
        """Beats of the image stream for the images of a batch, uint8, beats x post_lanes.

        Of int8 activations, they have the same bits.
        """
        lanes = self.configuration.post_lanes
        height, width, channels = self.stream_shape
        pixels = self.batch * height * width
        beats = np.zeros((pixels, -(-channels // lanes) * lanes), np.uint8)
        beats[:, :channels] = images.view(np.uint8).reshape(pixels, channels)
        return beats.reshape(-1, lanes)

    def result_order(self) -> np.ndarray:
        """Where each value of the result stream belongs.

        Returns
        -------
        numpy.ndarray of int64, beats x post_lanes
            Index into the flattened results (image, y, x, channel); -1 for a lane without a
            channel.
        """
        c = self.configuration
        height, width, channels = self.result_shape
        conv = self.stages[-1].operation == self.stages[-1].operation.CONV
        tile = c.och if conv else c.unit
        sizes = (
            -(-channels // tile),
            self.batch,
            -(-height // c.rows),
            -(-width // c.cols),
            c.rows,
            c.cols,
            tile // c.post_lanes,
            c.post_lanes,
        )
        t, image, ty, tx, row, col, beat, lane = np.indices(sizes, sparse=True)
        y, x = ty * c.rows + row, tx * c.cols + col
        first = t * tile + beat * c.post_lanes
        channel = first + lane
        place = ((image * height + y) * width + x) * channels + channel
        index = np.where(channel < channels, place, -1)
        sent = np.broadcast_to((y < height) & (x < width) & (first < channels), sizes)
        return np.broadcast_to(index, sizes)[sent].reshape(-1, c.post_lanes)

    def results(self, beats: np.ndarray) -> np.ndarray:
        """Results of a batch from the beats of the result stream (int32, beats x post_lanes)."""
        order = self.result_order()
        out = np.zeros((self.batch, *self.result_shape), np.dtype(self.result_type))
        sent = order >= 0
        out.reshape(-1)[order[sent]] = beats[sent]
        return out
