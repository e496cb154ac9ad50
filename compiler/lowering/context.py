"""What the lowering of a layer needs to know."""

from dataclasses import dataclass

import numpy as np

from hiddenite.golden.network import Layer, Network
from hiddenite.rtl.configuration import Configuration

from .costs import stage_cycles
from .storage import Storage
from .walks import Walk, walks
from .work import Part, Stored

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """A network, the engine that it is for, and where its tensors are stored.

    Attributes
    ----------
    network : Network
    c : Configuration
    batch : int
        Images of every tensor.
    storage : Storage
    """

    network: Network
    c: Configuration
    batch: int
    storage: Storage

    def source(self, name: str, number: int = 0) -> Stored:
        """As what a layer finds an input."""
        return self.storage.reads[name][number]

    def walks(
        self, layer: Layer, first: np.ndarray, last: np.ndarray, *, taps: int = 1
    ) -> list[Walk]:
        """Stages of a conv that stands for a layer; see `walks`. A result is that of one stage.

        Parameters
        ----------
        layer : Layer
        first, last : numpy.ndarray of int
            The first and the last input channel that each output channel may see.
        taps : int
            Of the kernel.
        """
        # What has too many channels is refused later, and not divided before.
        if self.target(layer.name) is None or len(first) > self.c.largest_channels:
            return walks(self.c, first, last, None)
        height, width, _ = self.network.shapes[layer.name]

        def cycles(channels: int, words: int) -> float:
            if taps * words >= self.c.tile_words:
                return np.inf
            return stage_cycles(
                self.c,
                (height, width, channels),
                self.batch,
                steps=taps * words,
                conv=True,
                residual=getattr(layer, "residual", None) is not None,
            )

        return walks(self.c, first, last, cycles)

    def target(self, name: str) -> Part | None:
        """All of a layer's output; None where it goes to the result stream."""
        made = self.storage.made.get(name)
        return None if made is None else Part(made)
