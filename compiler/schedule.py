"""What an engine does for a network, stage by stage, with every tensor at its place."""

from dataclasses import fields

from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import Configuration

from .features import check_features
from .layout import Layout, Placed
from .lowering.lower import lower
from .lowering.storage import Storage
from .lowering.work import Part, Stored, Work
from .memory_plan import MemoryPlan, StoredTensor, plan_memory
from .stage import Stage, Task

__all__ = ["schedule"]


def schedule(network: Network, c: Configuration, batch: int = 1) -> tuple[list[Stage], MemoryPlan]:
    """Plan a network: leave out what the result does not need, and place every tensor.

    See `hiddenite.compiler.lowering` for the stages, and
    `hiddenite.compiler.lowering.storage` for the tensors. A conv writes its output over its
    residual where it can. Every tensor has ``batch`` images.

    Returns
    -------
    list of Stage, MemoryPlan

    Raises
    ------
    InputError
        The network uses what the engine does not do, or the tensors do not fit into the activation
        memory.
    """
    check_features(network, c)
    works, storage = lower(network, c, batch)
    tensors = _tensors(works, storage, batch)
    plan = plan_memory(
        list(tensors.values()), [work.where for work in works], available=c.activation_words
    )
    placed = {
        stored: Placed(tensor.layout, address)
        for (stored, tensor), address in zip(tensors.items(), plan.addresses, strict=True)
    }
    result = network.types[network.layers[-1].name]
    return [_stage(work, placed, storage, result) for work in works], plan


def _tensors(works: list[Work], storage: Storage, batch: int) -> dict[Stored, StoredTensor]:
    """All tensors in the order in which they are written, each before its parts."""
    reads: dict[Stored, set[int]] = {}
    writes: dict[Stored, set[int]] = {}
    for at, work in enumerate(works):
        for part in work.reads:
            reads.setdefault(part.stored, set()).add(at)
        if work.target is not None:
            for stored in storage.holders(work.target.stored):
                writes.setdefault(stored, set()).add(at)

    tensors: dict[Stored, StoredTensor] = {}
    numbers: dict[Stored, int] = {}
    for at, work in enumerate(works):
        if work.target is None:
            continue
        for stored in reversed(storage.holders(work.target.stored)):
            if stored in tensors:
                continue
            shape = storage.shape(stored)
            placed = Placed(Layout(shape, stored.form, storage.c, images=batch), 0)
            inside = over = None
            if stored in storage.inside:
                holder, first = storage.inside[stored]
                placed = Placed(tensors[holder].layout, 0).channels(first, shape[2])
                inside = numbers[holder]
            elif _replaces_residual(work, storage):
                assert work.residual is not None
                if max(reads[work.residual.stored]) == at:
                    over = numbers[work.residual.stored]
            # Whoever reads what it is a part of reads it, too.
            read = set().union(*(reads.get(each, ()) for each in storage.holders(stored)))
            numbers[stored] = len(tensors)
            tensors[stored] = StoredTensor(
                name=stored.name,
                layout=placed.layout,
                copy=work.kind == "copy" and stored == work.target.stored,
                writes=tuple(sorted(writes[stored])),
                reads=tuple(sorted(read)),
                over=over,
                inside=inside,
                first_word=placed.address,
            )
    return tensors


def _replaces_residual(work: Work, storage: Storage) -> bool:
    """Whether a stage may write its output over its residual, if nothing else reads that later.

    Output and residual have the same shape, and here the same form: a unit of output channels of a
    pixel goes to the very unit of a word from which its residual comes. (A unit is a word, or with
    ``och < ich`` a part of one; the store leaves the other parts as they are.) Each unit of the
    residual is used once, for these outputs. They depend on it, hence none of them is written
    before it has been read, however many pixel tiles are on their way from the window to the store.
    Of the words that the window reads besides, behind the last channel or outside of the map,
    nothing is used.

    The input must be another tensor: it is read again for neighbouring pixels and for later tiles
    of output channels, when the first outputs are written. And neither the residual nor a part of
    it may be a part of a tensor that something reads besides.
    """
    source, residual, target = work.source, work.residual, work.target
    if source is None or residual is None or target is None:
        return False
    held = {part for inside in storage.inside.items() for part in (inside[0], inside[1][0])}
    return (
        residual.whole
        and target.whole
        and source.stored != residual.stored
        and target.stored.form == residual.stored.form
        and residual.stored not in held
        and target.stored not in held
    )


def _stage(work: Work, placed: dict[Stored, Placed], storage: Storage, result: str) -> Stage:
    """The stage, now that its tensors have addresses; the result has this type."""

    def view(part: Part | None) -> Placed | None:
        if part is None:
            return None
        found = placed[part.stored]
        if part.channels is not None:
            found = found.channels(*part.channels)
        if part.rows is not None:
            found = found.bank_rows(part.rows, part.every, work.shape[:2])
        return found

    def type_of(part: Part | None, otherwise: str = "uint8") -> str:
        return otherwise if part is None else storage.type(part.stored)

    return Stage(
        **{item.name: getattr(work, item.name) for item in fields(Task)},
        source=view(work.source),
        residual=view(work.residual),
        target=view(work.target),
        source_type=type_of(work.source),
        residual_type=type_of(work.residual),
        output_type=type_of(work.target, result),
    )
