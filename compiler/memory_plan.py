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
    writes, reads : tuple of int
        Numbers of the stages that write it, or parts of it, and of those that read it, or what it
        is a part of: at least one each, in order.
    over : int, optional
        Number of the tensor in whose place it is written. That one must have the same layout and be
        read last by the stage that writes this one.
    inside : int, optional
        Number of the tensor of which it is a part.
    first_word : int
        Of that one, where it begins.
    """

    name: str
    layout: Layout
    copy: bool = False
    writes: tuple[int, ...]
    reads: tuple[int, ...]
    over: int | None = None
    inside: int | None = None
    first_word: int = 0

    @property
    def first(self) -> int:
        """Number of the first stage that writes it."""
        return self.writes[0]

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
        In the order in which they are written, each before its parts.
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
        return max(
            address + tensor.layout.words for tensor, address in places if tensor.inside is None
        )

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
        In the order in which they are written, each before its parts.
    stages : sequence of str
        What messages call each stage.
    available : int
        Words of a bank.

    Raises
    ------
    InputError
        There are too few words; the message names the stage in which most is alive.
    """
    # A tensor, its parts, and those that are written over it are one block.
    blocks: list[Block] = []
    block_of: list[int] = []
    begins: list[int] = []
    for tensor in tensors:
        base = tensor.over if tensor.inside is None else tensor.inside
        begins.append(tensor.first_word + (0 if base is None else begins[base]))
        if base is None:
            block_of.append(len(blocks))
            blocks.append(Block(words=tensor.layout.words, first=tensor.first, last=tensor.last))
        else:
            block_of.append(block_of[base])
            own = blocks[block_of[-1]]
            blocks[block_of[-1]] = replace(own, last=max(own.last, tensor.last))
    live = live_words(blocks)
    live += [0] * (len(stages) - len(live))
    addresses = place(blocks)
    plan = MemoryPlan(
        tensors=tuple(tensors),
        addresses=tuple(
            addresses[number] + begin for number, begin in zip(block_of, begins, strict=True)
        ),
        live=tuple(live),
    )
    if plan.used > available:
        raise InputError(
            f"{stages[plan.peak]}: activation memory: needs {plan.used} words in each bank, "
            f"has {available}: raise activation_words"
        )
    return plan
