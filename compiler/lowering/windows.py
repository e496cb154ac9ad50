"""Convs and pools."""

from dataclasses import replace

import numpy as np

from hiddenite.compiler.weight_signs import negative_weights
from hiddenite.golden.network import AvgPool, Conv, MaxPool, Network, Window
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import Operation

from .context import Context
from .storage import moving_stride
from .walks import walks
from .work import Part, Work

__all__ = ["is_one_stage", "lower"]

_OPERATIONS = {
    Conv: Operation.CONV,
    MaxPool: Operation.MAX_POOL,
    AvgPool: Operation.AVG_POOL,
}


def is_one_stage(layer: Window, network: Network, c: Configuration) -> bool:
    """Whether a single stage makes the whole output: 32 bits are not stored."""
    if not isinstance(layer, Conv) or layer.groups == 1 or layer.output == "int32":
        return True
    (walk,) = walks(c, *_groups_inputs(layer), None)
    height, width = layer.span
    return height * width * walk.words < c.tile_words


def lower(layer: Window, context: Context) -> list[Work]:
    """A stage; of a conv with groups, as many as its walks."""
    shape = context.network.shapes[layer.name]
    top, left, *_ = layer.padding
    reads = [Part(stored) for stored in context.storage.reads[layer.name]]
    work = Work(
        name=layer.name,
        kind=layer.op,
        operation=_OPERATIONS[type(layer)],
        layer=layer,
        kernel=layer.kernel,
        stride=moving_stride(layer, shape),
        padding=(top, left),
        source=reads[0],
        residual=reads[1] if len(reads) > 1 else None,
        target=context.target(layer.name),
        shape=shape,
    )
    if not isinstance(layer, Conv):
        return [work]
    weights = layer.mask.size
    seed = context.network.seed
    layer = _with_dead_taps(layer, _dilation(layer, work.stride, context.c), seed)
    work = replace(work, layer=layer, kernel=layer.kernel, dilation=layer.dilation, weights=weights)
    return [work] if layer.groups == 1 else _groups(layer, work, context)


def _dilation(layer: Conv, stride: tuple[int, int], c: Configuration) -> tuple[int, int]:
    """Of a layer's dilation, that which the window has.

    Along an axis with more banks than one it has either a stride or a dilation.
    """
    y, x = (
        1 if size == 1 or (banks > 1 and step > 1) else own
        for size, banks, step, own in zip(
            layer.kernel, (c.rows, c.cols), stride, layer.dilation, strict=True
        )
    )
    return y, x


def _with_dead_taps(layer: Conv, dilation: tuple[int, int], seed: int) -> Conv:
    """The same conv with this dilation, and taps without a weight where it has a larger one."""
    if dilation == layer.dilation:
        return layer
    if layer.kernel == layer.span:
        return replace(layer, dilation=dilation)
    step_y, step_x = (own // kept for own, kept in zip(layer.dilation, dilation, strict=True))
    height, width = layer.kernel
    kernel = (height - 1) * step_y + 1, (width - 1) * step_x + 1
    mask = np.zeros((layer.out_channels, *kernel, layer.mask.shape[3]), bool)
    sign = np.zeros_like(mask)
    taps = slice(None), slice(None, None, step_y), slice(None, None, step_x)
    mask[taps], sign[taps] = layer.mask, negative_weights(layer, seed)
    return replace(layer, kernel=kernel, dilation=dilation, mask=mask, sign=sign)


def _groups_inputs(layer: Conv) -> tuple[np.ndarray, np.ndarray]:
    """First and last input channel of each output channel's group."""
    size = layer.mask.shape[3]
    first = np.arange(layer.out_channels) // (layer.out_channels // layer.groups) * size
    return first, first + size - 1


def _groups(layer: Conv, whole: Work, context: Context) -> list[Work]:
    """Stages of a conv with groups.

    Where one has a range of the channels of one group, whose inputs begin a word, its weights are
    those of the layer's output channels from its first one on. Elsewhere, a stage is a conv of all
    words that it reads, and its signs are sent.
    """
    ich, seed = context.c.ich, context.network.seed
    size = layer.mask.shape[3]
    first, last = _groups_inputs(layer)
    assert whole.source is not None
    works = []
    for walk in context.walks(layer, first, last, taps=layer.kernel[0] * layer.kernel[1]):
        own = walk.channels
        fields = {
            "groups": 1,
            "out_channels": len(own),
            "mask": layer.mask[own],
            "sign": None if layer.sign is None else layer.sign[own],
            "scale": layer.scale[own],
            "bias": layer.bias[own],
        }
        source = whole.source.inputs(walk)
        begin = first[own]
        if walk.every == 1 and (begin == begin[0]).all() and begin[0] % ich == 0:
            source = replace(source, channels=(int(begin[0]), size))
        else:
            places = (begin - walk.origins)[:, None] + np.arange(size)
            for name, kept in (("mask", layer.mask), ("sign", negative_weights(layer, seed))):
                wide = np.zeros((len(own), *layer.kernel, walk.inputs), bool)
                np.put_along_axis(wide, places[:, None, None], kept[own], 3)
                fields[name] = wide
        works.append(
            replace(
                whole,
                layer=replace(layer, **fields),
                first_channel=walk.first,
                input_step=walk.step,
                every=walk.every,
                weights=whole.weights // layer.out_channels * len(own),
                source=source,
                residual=whole.residual and whole.residual.outputs(walk),
                target=whole.target and whole.target.outputs(walk),
                shape=(*whole.shape[:2], len(own)),
            )
        )
    return works
