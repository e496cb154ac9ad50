"""What an engine does for a network, layer by layer: which tensors, in which form, and where."""

from dataclasses import dataclass

from hiddenite.golden.network import AvgPool, Conv, Layer, MaxPool, Network
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.program.packets import Operation

from .layout import Layout, MemoryPlan

__all__ = ["Placed", "Stage", "schedule"]


@dataclass(frozen=True)
class Placed:
    """A tensor at its place in memory."""

    layout: Layout
    address: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One layer of a program.

    Attributes
    ----------
    name : str
        Of the network's layer; of its input's, for the image and for copies.
    operation : Operation
    layer : Layer, optional
        The network's layer; none for the image and for copies.
    kernel, stride, padding : (int, int)
    source, residual : Placed, optional
    target : Placed, optional
        None for the last layer, whose output goes to the result stream.
    shape : (int, int, int)
        Of the output.
    """

    name: str
    operation: Operation
    layer: Layer | None = None
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    source: Placed | None = None
    residual: Placed | None = None
    target: Placed | None = None
    shape: tuple[int, int, int]


def _stride(layer: Layer, shape: tuple[int, int, int]) -> tuple[int, int]:
    """The layer's stride, 1 along an axis where the window does not move."""
    return tuple(
        stride if size > 1 else 1 for stride, size in zip(layer.stride, shape[:2], strict=True)
    )


def _needed(network: Network) -> list[Layer]:
    """Layers that the result depends on."""
    wanted, kept = {network.layers[-1].name}, []
    for layer in reversed(network.layers):
        if layer.name in wanted:
            kept.append(layer)
            wanted.update(layer.inputs)
    return kept[::-1]


def schedule(network: Network, c: Configuration) -> tuple[list[Stage], MemoryPlan]:
    """Plan a network: leave out what the result does not need, and place every tensor.

    A tensor whose readers have one stride is stored for that stride. One that is read with several,
    or as a residual besides, is stored plainly, and copied for the other strides by a pool of 1x1.

    Returns
    -------
    list of Stage, MemoryPlan

    Raises
    ------
    InputError
        The tensors do not fit into the activation memory.
    """
    layers = _needed(network)
    shapes = network.shapes
    strides = {layer.name: _stride(layer, shapes[layer.name]) for layer in layers}

    forms: dict[str, set[tuple[int, int]]] = {}
    for layer in layers:
        forms.setdefault(layer.input, set()).add(strides[layer.name])
        if isinstance(layer, Conv) and layer.residual is not None:
            forms.setdefault(layer.residual, set()).add((1, 1))
    first = {name: next(iter(f)) if len(f) == 1 else (1, 1) for name, f in forms.items()}

    # The order of work, as (produced tensor and form, layer or None, what is read).
    image = network.input.name
    order = [((image, first[image]), None, [])]
    there = {order[0][0]}
    for layer in layers:
        reads = [(layer.input, strides[layer.name])]
        if isinstance(layer, Conv) and layer.residual is not None:
            reads.append((layer.residual, (1, 1)))
        for read in reads:
            if read not in there:
                order.append((read, None, [(read[0], first[read[0]])]))
                there.add(read)
        product = (layer.name, first.get(layer.name))
        order.append((product, layer, reads))
        there.add(product)

    last_use = {read: at for at, (_, _, reads) in enumerate(order) for read in reads}
    plan = MemoryPlan(c.activation_words)
    placed: dict[tuple, Placed] = {}
    stages = []
    for at, (product, layer, reads) in enumerate(order):
        name, form = product
        shape = shapes[name]
        where = f"layer {name!r}" if layer is not None else f"tensor {name!r}"
        if form is not None:
            layout = Layout(shape, form, c)
            placed[product] = Placed(layout, plan.place(product, layout.words, where))
        common = {"name": name, "shape": shape, "target": placed.get(product)}
        if layer is None:
            operation = Operation.MAX_POOL if reads else Operation.LOAD
            source = placed[reads[0]] if reads else None
            stages.append(Stage(operation=operation, source=source, **common))
        else:
            operations = {
                Conv: Operation.CONV,
                MaxPool: Operation.MAX_POOL,
                AvgPool: Operation.AVG_POOL,
            }
            stages.append(
                Stage(
                    operation=operations[type(layer)],
                    layer=layer,
                    kernel=layer.kernel,
                    stride=strides[name],
                    padding=layer.padding,
                    source=placed[reads[0]],
                    residual=placed[reads[1]] if len(reads) > 1 else None,
                    **common,
                )
            )
        for read in reads:
            if last_use[read] == at and read in placed:
                plan.free(read)
                del placed[read]
    return stages, plan
