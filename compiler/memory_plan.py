"""Which tensor is where in the activation memory, and from when to when."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hiddenite.golden.errors import InputError

from .layout import Layout
from .placement import Block, live_words, place

__all__ = ["MemoryPlan", "StoredTensor", "plan_memory"]


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor in the activation memory.

    Attributes
    ----------
    name : str
        Of the layer that makes it, or of the network's input.
    layout : Layout
    copy : bool
        A copy of a tensor that is stored in another form besides.
    first : int
        Number of the stage that writes it.
    reads : tuple of int
        Numbers of the stages that read it, at least one, in order.
    over : int, optional
        Number of the tensor in whose place it is written. That one must have the same layout and be
        read last by the stage that writes this one.
    """

    name: str
    layout: Layout
    copy: bool = False
    first: int
    reads: tuple[int, ...]
    over: int | None = None

    @property
    def last(self) -> int:
        """Number of the last stage that reads it."""
        return self.reads[-1]


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """First address of each tensor.

    Attributes
    ----------
    tensors : tuple of StoredTensor
        In the order in which they are written.
    addresses : tuple of int
        Of each of them.
    live : tuple of int
        Words of a bank that are alive in each stage.
    """

    tensors: tuple[StoredTensor, ...]
    addresses: tuple[int, ...]
    live: tuple[int, ...]

    @property
    def used(self) -> int:
        """Words of a bank that are used at any time."""
        places = zip(self.tensors, self.addresses, strict=True)
        return max(address + tensor.layout.words for tensor, address in places)

    @property
    def peak(self) -> int:
        """Number of the first stage in which most is alive."""
        return self.live.index(max(self.live))


def plan_memory(
    tensors: Sequence[StoredTensor], stages: Sequence[str], available: int
) -> MemoryPlan:
    """Place tensors so that none that live at one time overlap, in as few words as can be found.

    Parameters
    ----------
    tensors : sequence of StoredTensor
        In the order in which they are written.
    stages : sequence of str
        What messages call each stage.
    available : int
        Words of a bank.

    Raises
    ------
    InputError
        There are too few words; the message names the stage in which most is alive.
    """
    # A tensor and those that are written over it are one block.
    blocks: list[Block] = []
    block_of: list[int] = []
    for tensor in tensors:
        if tensor.over is None:
            block_of.append(len(blocks))
            blocks.append(Block(words=tensor.layout.words, first=tensor.first, last=tensor.last))
        else:
            block_of.append(block_of[tensor.over])
            blocks[block_of[-1]] = replace(blocks[block_of[-1]], last=tensor.last)
    live = live_words(blocks)
    live += [0] * (len(stages) - len(live))
    addresses = place(blocks)
    plan = MemoryPlan(
        tensors=tuple(tensors),
        addresses=tuple(addresses[number] for number in block_of),
        live=tuple(live),
    )
    if plan.used > available:
        raise InputError(
            f"{stages[plan.peak]}: activation memory: needs {plan.used} words in each bank, "
            f"has {available}: raise activation_words"
        )
    return plan
