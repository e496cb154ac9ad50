"""Adds: an average of one pixel with a residual, or convs."""

import numpy as np

from hiddenite.golden.network import Add, AvgPool, Network
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.output.residual_queue import queues_residuals
from hiddenite.rtl.program.packets import Operation

from .channel_convs import channel_conv
from .context import Context
from .work import Part, Work

__all__ = ["is_one_stage", "lower"]


def _is_pool(layer: Add, c: Configuration) -> bool:
    """Whether a pool of 1x1 can add the residual: it has one scale for both.

    Without a queue, the residual is shifted out along with the sums of a conv, which has ``och``
    channels; a pool's tile has as many where these are at most ``ich``.
    """
    return layer.scale == layer.residual_scale and (queues_residuals(c) or c.och <= c.ich)


def is_one_stage(layer: Add, network: Network, c: Configuration) -> bool:
    """Whether a single stage makes the whole output."""
    return True


def lower(layer: Add, context: Context) -> list[Work]:
    """A pool, which has no weights, where its one scale is enough; otherwise convs."""
    c, seed = context.c, context.network.seed
    shape = context.network.shapes[layer.name]
    first, second = (context.source(layer.name, number) for number in range(2))
    target = context.target(layer.name)
    if _is_pool(layer, c):
        mean = AvgPool(
            name=layer.name, input=layer.input, kernel=(1, 1), scale=layer.scale, shift=layer.shift
        )
        return [
            Work(
                name=layer.name,
                kind=layer.op,
                operation=Operation.AVG_POOL,
                layer=mean,
                source=Part(first),
                residual=Part(second),
                target=target,
                shape=shape,
            )
        ]
    channels = np.arange(shape[2])
    works = []
    for walk in context.walks(layer, channels, channels):
        conv = channel_conv(
            layer.name,
            layer.input,
            walk.channels - walk.origins,
            walk.inputs,
            seed,
            scale=layer.scale,
            shift=layer.shift,
            residual=layer.residual,
            residual_scale=layer.residual_scale,
        )
        works.append(
            Work(
                name=layer.name,
                kind=layer.op,
                operation=Operation.CONV,
                layer=conv,
                input_step=walk.step,
                every=walk.every,
                source=Part(first).inputs(walk),
                residual=Part(second).outputs(walk),
                target=target and target.outputs(walk),
                shape=(*shape[:2], walk.count),
            )
        )
    return works
