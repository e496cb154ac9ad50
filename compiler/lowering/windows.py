"""Convs and pools."""

from dataclasses import replace

from hiddenite.golden.network import AvgPool, Conv, MaxPool, Network, Window
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import Operation

from .context import Context
from .storage import moving_stride
from .work import Part, Work

__all__ = ["is_one_stage", "lower"]

_OPERATIONS = {
    Conv: Operation.CONV,
    MaxPool: Operation.MAX_POOL,
    AvgPool: Operation.AVG_POOL,
}


def is_one_stage(layer: Window, network: Network, c: Configuration) -> bool:
    """Whether a single stage makes the whole output."""
    return not isinstance(layer, Conv) or layer.groups == 1


def lower(layer: Window, context: Context) -> list[Work]:
    """A stage; of a conv with groups, one for each group.

    A group's stage reads a view of its input channels, and writes one of its output channels. Its
    weights are those of the layer's output channels from its first one on.
    """
    shape = context.network.shapes[layer.name]
    top, left, *_ = layer.padding
    reads = [Part(stored) for stored in context.storage.reads[layer.name]]
    whole = Work(
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
    if not isinstance(layer, Conv) or layer.groups == 1:
        return [whole]
    assert whole.target is not None
    inputs, outputs = layer.mask.shape[3], layer.out_channels // layer.groups
    works = []
    for group in range(layer.groups):
        first = group * outputs
        own, view = slice(first, first + outputs), (first, outputs)
        conv = replace(
            layer,
            groups=1,
            out_channels=outputs,
            mask=layer.mask[own],
            sign=None if layer.sign is None else layer.sign[own],
            scale=layer.scale[own],
            bias=layer.bias[own],
        )
        works.append(
            replace(
                whole,
                layer=conv,
                first_channel=first,
                source=replace(reads[0], channels=(group * inputs, inputs)),
                residual=replace(reads[1], channels=view) if whole.residual else None,
                target=replace(whole.target, channels=view),
                shape=(*shape[:2], outputs),
            )
        )
    return works
