"""What the nodes of a traced model are called, and which of them share a tensor."""

import torch
from torch import fx, nn

PASSED_MODULES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Modules that return their input in evaluation mode."""

PASSED = ("contiguous", "clone", "float")
"""Methods whose result has the numbers and the shape of the tensor."""

RESHAPING = ("flatten", "reshape", "view", "squeeze", "unsqueeze")
"""Functions and methods whose result has the numbers of the tensor."""


def operation(node):
    """Return how messages name what a node calls."""
    if node.op == "call_method":
        return f"Tensor.{node.target}"
    target = node.target
    return torch.overrides.resolve_name(target) or getattr(target, "__name__", str(target))


def function_name(node):
    """Return the last part of the name of what a node calls."""
    return operation(node).rpartition(".")[2]


def is_known(node):
    """Return whether a node calls what PyTorch or Python has by that name."""
    if node.op == "call_method" or torch.overrides.resolve_name(node.target):
        return True
    return (getattr(node.target, "__module__", None) or "").startswith(("_operator", "torch."))


def is_used_later(node):
    """Return whether the tensor that a node changes in place is read behind it.

    It is the node's first argument, which other nodes may have given another shape or name.
    """
    order = {other: number for number, other in enumerate(node.graph.nodes)}
    same, queue = set(), list(node.args[:1])
    while queue:
        other = queue.pop()
        if isinstance(other, fx.Node) and other not in same:
            same.add(other)
            queue += other.args[:1] if _is_alias(other) else ()
            queue += [user for user in other.users if _is_alias(user) and user is not node]
    return any(order[user] > order[node] for other in same for user in other.users)


def _is_alias(node):
    """Return whether the result of a node may be its first argument under another name."""
    if node.op == "call_module":
        module = node.graph.owning_module.get_submodule(node.target)
        return isinstance(module, (*PASSED_MODULES, nn.Flatten))
    name = function_name(node) if node.op.startswith("call") else ""
    return name != "clone" and (name in PASSED + RESHAPING or "dropout" in name)
