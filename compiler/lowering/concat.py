"""Concats: nothing to do for parts that lie in place; convs pack those that fill no words."""

from hiddenite.golden.network import Concat, Network
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import Operation

from .channel_convs import MOST_CHANNELS, channel_conv, slices
from .context import Context
from .storage import word_runs
from .work import Part, Work

__all__ = ["is_one_stage", "lower"]


def is_one_stage(layer: Concat, network: Network, c: Configuration) -> bool:
    """Whether a single stage makes the whole output: a conv that packs all parts."""
    runs = word_runs([network.shapes[name][2] for name in layer.inputs], c.ich)
    return len(runs) == 1 < len(layer.inputs) and network.shapes[layer.name][2] <= MOST_CHANNELS


def lower(layer: Concat, context: Context) -> list[Work]:
    """Convs for the parts that are stored side by side.

    The next channel of an output word is in the same word of them or in the next one, from the last
    channel of a part to the first one of the next.
    """
    network, c = context.network, context.c
    size = network.shapes[layer.name][:2]
    target = context.target(layer.name)
    works = []
    for run in context.storage.runs[layer.name]:
        if len(run.parts) == 1:
            continue
        picks = [
            at + channel
            for part, at in zip(run.parts, run.at, strict=True)
            for channel in range(network.shapes[part][2])
        ]
        divided = [(range(len(picks)), range(picks[-1] + 1))]
        if target is not None:
            divided = slices(c, picks, size, context.batch)
        for outputs, inputs in divided:
            own = [picks[channel] - inputs.start for channel in outputs]
            written = None
            if target is not None:
                written = Part(target.stored, (run.first + outputs.start, len(outputs)))
            works.append(
                Work(
                    name=layer.name,
                    kind=layer.op,
                    operation=Operation.CONV,
                    layer=channel_conv(layer.name, layer.name, own, len(inputs), network.seed),
                    source=Part(run.holder, (inputs.start, len(inputs))),
                    target=written,
                    shape=(*size, len(outputs)),
                )
            )
    return works
