"""Concats: nothing to do for parts that lie in place; convs pack those that fill no words."""

from dataclasses import replace

import numpy as np

from hiddenite.golden.network import Concat, Network
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import Operation

from .channel_convs import channel_conv
from .context import Context
from .storage import word_runs
from .work import Part, Work

__all__ = ["is_one_stage", "lower"]


def is_one_stage(layer: Concat, network: Network, c: Configuration) -> bool:
    """Whether a single stage makes the whole output: a conv that packs all parts."""
    runs = word_runs([network.shapes[name][2] for name in layer.inputs], c.ich)
    words = sum(-(-network.shapes[name][2] // c.ich) for name in layer.inputs)
    return len(runs) == 1 < len(layer.inputs) and words < c.tile_words


def lower(layer: Concat, context: Context) -> list[Work]:
    """Convs for the parts that are stored side by side.

    The next channel of an output word is in the same word of them or in the next one, from the last
    channel of a part to the first one of the next.
    """
    network = context.network
    size = network.shapes[layer.name][:2]
    target = context.target(layer.name)
    works = []
    for run in context.storage.runs[layer.name]:
        if len(run.parts) == 1:
            continue
        picks = np.concatenate(
            [
                at + np.arange(network.shapes[part][2])
                for part, at in zip(run.parts, run.at, strict=True)
            ]
        )
        made = target and replace(target, channels=(run.first, len(picks)))
        for walk in context.walks(layer, picks, picks):
            own = picks[walk.channels] - walk.origins
            works.append(
                Work(
                    name=layer.name,
                    kind=layer.op,
                    operation=Operation.CONV,
                    layer=channel_conv(layer.name, layer.name, own, walk.inputs, network.seed),
                    input_step=walk.step,
                    every=walk.every,
                    source=Part(run.holder).inputs(walk),
                    target=made and made.outputs(walk),
                    shape=(*size, walk.count),
                )
            )
    return works
