"""Puts rectifiers in front of the maximum poolings before them, where the hardware has them.

A rectifier that rounds is monotonic, so the largest number of a window may be taken before it or
behind it. The values of a model stay the same.
"""

from torch import nn

from hiddenite.training.exporter.nodes import function_name, is_known
from hiddenite.training.layers.activation import Quantizer

MOVED = "rectifies first"
"""Key in the `meta` of a node that has been moved."""

_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
_POOL_FUNCTIONS = (
    "max_pool1d",
    "max_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "amax",
)


def rectify_first(module):
    """Move each `Quantizer` that alone reads a maximum pooling in front of it.

    Parameters
    ----------
    module : fx.GraphModule
        A traced model; it is changed.
    """
    graph, modules = module.graph, dict(module.named_modules())
    queue = [node for node in graph.nodes if _is_module(node, modules, Quantizer)]
    while queue:
        rectifier = queue.pop()
        (pool,) = rectifier.all_input_nodes
        if not _is_pool(pool, modules) or len(pool.users) > 1:
            continue
        (source,) = pool.all_input_nodes
        with graph.inserting_before(pool):
            first = graph.call_module(rectifier.target, (source,))
        first.meta = {**rectifier.meta, MOVED: True}
        pool.replace_input_with(source, first)
        rectifier.replace_all_uses_with(pool)
        graph.erase_node(rectifier)
        queue.append(first)
    module.recompile()


def _is_module(node, modules, kinds):
    return node.op == "call_module" and isinstance(modules[node.target], kinds)


def _is_pool(node, modules):
    if node.op == "call_module":
        return isinstance(modules[node.target], _POOLS) and len(node.all_input_nodes) == 1
    if not node.op.startswith("call") or not is_known(node) or len(node.all_input_nodes) != 1:
        return False
    return function_name(node) in _POOL_FUNCTIONS
