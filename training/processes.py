"""Several processes that train one model together, as torchrun starts them."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from hiddenite.golden.errors import InputError


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes
    ----------
    rank, count : int
        Its number, from 0, and how many there are.
    device : torch.device
        Where it computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self):
        """Whether this is the one that writes files and talks."""
        return self.rank == 0

    def share(self, part):
        """Return this process's share of a batch's indices."""
        return part[self.rank :: self.count]

    def total(self, *values):
        """Return the sums of numbers over all processes."""
        if self.count == 1:
            return values
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return tuple(sums.tolist())

    def wait(self):
        """Wait until all processes are here."""
        if self.count > 1:
            distributed.barrier()


def choose_device(name=None):
    """Return the device of a name; without one, a GPU where there is one, or the CPU."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise InputError(f"device must be one that PyTorch can use here, not {name!r}") from None
    return device


@contextmanager
def processes(device=None) -> Iterator[Processes]:
    """Give the group that torchrun has started this process in, or a group of one.

    Parameters
    ----------
    device : str, optional
        Where to compute; the default is a GPU where there is one. In a group, each process of a
        machine takes a GPU of its own.
    """
    device = choose_device(device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), count, device)
        # One that leaves while others still talk to it would end them.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
        # A group that something still refers to keeps its threads, and one of Gloo's that lets go
        # of a tensor while Python ends aborts the process.
        gc.collect()
