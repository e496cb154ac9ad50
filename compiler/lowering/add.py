"""Adds: an average of one pixel with a residual, or convs."""

from hiddenite.golden.network import Add, AvgPool, Network
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.output.residual_queue import queues_residuals
from hiddenite.rtl.program.packets import Operation

from .channel_convs import MOST_CHANNELS, channel_conv, slices
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
    return _is_pool(layer, c) or network.shapes[layer.name][2] <= MOST_CHANNELS


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
    channels = range(shape[2])
    divided = [(channels, channels)]
    if target is not None:
        divided = slices(c, channels, shape[:2], context.batch, residual=True)
    works = []
    for outputs, _ in divided:
        view = (outputs.start, len(outputs)) if len(divided) > 1 else None
        conv = channel_conv(
            layer.name,
            layer.input,
            range(len(outputs)),
            len(outputs),
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
                source=Part(first, view),
                residual=Part(second, view),
                target=None if target is None else Part(target.stored, view),
                shape=(*shape[:2], len(outputs)),
            )
        )
    return works
