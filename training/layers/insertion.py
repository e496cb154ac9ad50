"""Puts modules behind the calls in a model's forward, and in front of what concatenations read."""

from functools import partial
from typing import cast

from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.graph import prepared
from hiddenite.training.exporter.nodes import operation
from hiddenite.training.exporter.tracer import ORIGIN, symbolic
from hiddenite.training.layers.alterations import place_of
from hiddenite.training.layers.rewriting import (
    Calls,
    added,
    put_behind,
    put_in_place,
    rewrite,
)


def insert_modules(model, behind, before):
    """Put modules behind calls in a model, and in front of what concatenations read.

    A module whose forward makes such calls gets the forward that `torch.fx` traces in it; an
    `nn.Sequential` gets one more module where its last one's result is meant.

    Parameters
    ----------
    model : nn.Module
        It is changed.
    behind : dict of (str, int) to nn.Module
        For a call, by its `ORIGIN`, what all read instead of its result.
    before : dict of ((str, int), int) to nn.Module
        For a concatenation and the number of one of its parts, what it reads instead.

    Raises
    ------
    InputError
        A module does something else in training than in evaluation mode.
    """
    tracer = Calls()
    symbolic(prepared(model), tracer)
    paths = dict.fromkeys(path for path, _ in (*behind, *(origin for origin, _ in before)))
    for path in paths:
        owner = model.get_submodule(path)
        ends = {number: new for (where, number), new in behind.items() if where == path}
        parts = {
            (number, part): new for ((where, number), part), new in before.items() if where == path
        }
        plain = type(owner).forward is nn.Sequential.forward
        if plain and not parts and list(ends) == [len(cast("nn.Sequential", owner))]:
            cast("nn.Sequential", owner).append(*ends.values())
            continue
        reason = "as 8 bits must be rounded to there: put a QuantizedIdentity there"
        calls = tracer.given.get(path, [{}])
        if any(call != calls[0] for call in calls):
            raise InputError(
                f"{place_of(path, owner)}: must be called with the same arguments but tensors each"
                f" time, {reason}"
            )
        rewrite(owner, path, reason, calls[0], partial(_insert, ends, parts))


def _insert(ends, parts, owner, path, graph, dropouts):
    """Put modules behind the calls of a graph, by their numbers, and before parts."""
    for node, module in dropouts.items():
        put_in_place(owner, graph, node, module)
    for node in list(graph.nodes):
        _, number = node.meta.get(ORIGIN, ("", 0))
        for (call, part), module in parts.items():
            if call != number:
                continue
            tensors = node.args[0] if node.args else node.kwargs.get("tensors")
            if not isinstance(tensors, list | tuple):
                raise InputError(
                    f"{place_of(path, owner)}: node {node.name!r} ({operation(node)}) must join"
                    " activations of one unit and type, or be given them one by one"
                )
            name = added(owner, f"{node.name}_part{part}", module)
            with graph.inserting_before(node):
                new = graph.call_module(name, (tensors[part],))
            changed = [new if i == part else old for i, old in enumerate(tensors)]
            if node.args:
                node.args = (changed, *node.args[1:])
            else:
                node.kwargs = {**node.kwargs, "tensors": changed}
        if number in ends:
            put_behind(owner, graph, node, f"{node.name}_quantizer", ends[number])
    return {}
