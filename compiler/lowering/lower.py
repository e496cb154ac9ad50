"""All stages of a network, in order."""

from types import ModuleType

from hiddenite.golden.network import Add, Concat, Layer, Network, Upsample
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import Operation

from . import add, concat, upsample, windows
from .context import Context
from .storage import Storage
from .work import Part, Stored, Work

__all__ = ["lower"]


def _kind(layer: Layer) -> ModuleType:
    """The module that knows a layer."""
    return {Add: add, Concat: concat, Upsample: upsample}.get(type(layer), windows)


def _needed(network: Network) -> list[Layer]:
    """Layers that the result depends on."""
    wanted = {network.layers[-1].name}
    kept: list[Layer] = []
    for layer in reversed(network.layers):
        if layer.name in wanted:
            kept.append(layer)
            wanted.update(layer.inputs)
    return kept[::-1]


def lower(network: Network, c: Configuration, batch: int) -> tuple[list[Work], Storage]:
    """Lower a network to stages; copies come just before the first layer that reads them.

    A layer of stride 1 cannot read planes: the pixels of its window would lie in the same banks.
    Hence copies, where a layer of another stride reads the same tensor. Where that one reads the
    first plane alone (as the points beside the blocks of a ResNet-50 do), its copy has no more. A
    copy is a pool of 1x1, and so is what sends a result that no single stage makes.
    """
    layers = _needed(network)
    last = layers[-1]
    stored = not _kind(last).is_one_stage(last, network, c)
    storage = Storage(network, layers, c, store_result=stored)
    context = Context(network, c, batch, storage)

    image = storage.made[network.input.name]
    works = [
        Work(
            name=image.name,
            kind="load",
            operation=Operation.LOAD,
            target=Part(image),
            shape=network.input.shape,
        )
    ]
    there = {image}

    def copy(name: str, target: Stored | None) -> None:
        works.append(
            Work(
                name=name,
                kind="copy",
                operation=Operation.MAX_POOL,
                source=Part(storage.made[name]),
                target=None if target is None else Part(target),
                shape=network.shapes[name],
            )
        )

    for layer in layers:
        for read in storage.reads[layer.name]:
            if read not in there:
                copy(read.name, read)
                there.add(read)
        works += _kind(layer).lower(layer, context)
        if layer.name in storage.made:
            there.add(storage.made[layer.name])
    if stored:
        copy(last.name, None)
    return works, storage
