"""What the lowering of a layer needs to know."""

from dataclasses import dataclass

from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import Configuration

from .storage import Storage
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

    def target(self, name: str) -> Part | None:
        """All of a layer's output; None where it goes to the result stream."""
        made = self.storage.made.get(name)
        return None if made is None else Part(made)
