"""What an engine does for a network, layer by layer: which tensors, in which form, and where."""

from dataclasses import dataclass

from hiddenite.golden.network import AvgPool, Conv, MaxPool, Network, Window
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.output.wide_beats import may_skip_rows
from hiddenite.rtl.program.packets import Operation

from .layout import PLAIN, Form, Layout
from .memory_plan import MemoryPlan, StoredTensor, plan_memory
from .version_2 import check_version_1

__all__ = ["Placed", "Stage", "beat_pixels", "schedule"]


@dataclass(frozen=True)
class Placed:
    """A tensor at its place in memory."""

    layout: Layout
    address: int


def beat_pixels(c: Configuration, target: Placed | None) -> int:
    """Pixels of a tile for each beat of outputs that go there.

    See `hiddenite.rtl.output.wide_beats`.
    """
    if target is None:
        return 1
    second_y, second_x = (
        phases == 2 and only
        for phases, only in zip(target.layout.phases, target.layout.form.first_only, strict=True)
    )
    if target.layout.phases[1] > 1 and not second_x:
        return 1
    return c.post_pixels * (1 + (second_y and may_skip_rows(c)))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One layer of a program.

    Attributes
    ----------
    name : str
        Of the network's layer; of its input's, for the image and for copies.
    operation : Operation
    layer : Window, optional
        The network's layer; none for the image and for copies.
    kernel, stride : (int, int)
    padding : (int, int)
        Above the map and left of it; what lies below and right of it follows from the shapes.
    source, residual : Placed, optional
    target : Placed, optional
        None for the last layer, whose output goes to the result stream.
    shape : (int, int, int)
        Of the output.
    """

    name: str
    operation: Operation
    layer: Window | None = None
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    source: Placed | None = None
    residual: Placed | None = None
    target: Placed | None = None
    shape: tuple[int, int, int]

    @property
    def conv(self) -> Conv:
        """The layer of a conv's stage."""
        assert isinstance(self.layer, Conv)
        return self.layer

    @property
    def read(self) -> Placed:
        """The source, which every stage but that of the image has."""
        assert self.source is not None
        return self.source

    @property
    def written(self) -> Placed:
        """The target, which every stage but the last one has."""
        assert self.target is not None
        return self.target

    @property
    def images(self) -> int:
        """Images of the batch."""
        return (self.written if self.source is None else self.source).layout.images

    @property
    def added(self) -> Placed:
        """The residual of a stage that has one."""
        assert self.residual is not None
        return self.residual


@dataclass(frozen=True)
class _Stored:
    """A tensor in one of its forms."""

    name: str
    form: Form


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A stage before tensors have addresses.

    Attributes
    ----------
    name : str
        Of the tensor that it makes.
    layer : Window, optional
    reads : tuple of _Stored
        Input and, if there is one, residual.
    writes : _Stored, optional
    """

    name: str
    layer: Window | None = None
    reads: tuple[_Stored, ...] = ()
    writes: _Stored | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{'tensor' if self.layer is None else 'layer'} {self.name!r}"


def _stride(layer: Window, shape: tuple[int, int, int]) -> tuple[int, int]:
    """The layer's stride, 1 along an axis where the window does not move."""
    vertical, horizontal = layer.strides
    return vertical if shape[0] > 1 else 1, horizontal if shape[1] > 1 else 1


def _needed(network: Network) -> list[Window]:
    """Layers that the result depends on."""
    wanted = {network.layers[-1].name}
    kept: list[Window] = []
    for layer in reversed(network.layers):
        if layer.name in wanted:
            assert isinstance(layer, Window), "others are refused"
            kept.append(layer)
            wanted.update(layer.inputs)
    return kept[::-1]


def _reads(layer: Window, shape: tuple[int, int, int], c: Configuration) -> tuple[_Stored, ...]:
    """What a layer reads, and in which form.

    Along an axis with one bank, the increments of the addresses make any stride. With more banks,
    the pixels of a window must be in different ones wherever it lies: only planes give that.
    """
    vertical, horizontal = _stride(layer, shape)
    phases = vertical if c.rows > 1 else 1, horizontal if c.cols > 1 else 1
    # A kernel of one pixel lies on the first plane alone.
    first_y, first_x = (
        phase > 1 and size == 1 and padding == 0
        for phase, size, padding in zip(phases, layer.kernel, layer.padding[:2], strict=True)
    )
    source = _Stored(layer.input, Form(phases, (first_y, first_x)))
    if isinstance(layer, Conv) and layer.residual is not None:
        return source, _Stored(layer.residual, PLAIN)
    return (source,)


def _forms(reads: list[_Stored]) -> dict[_Stored, _Stored]:
    """Form in which each read finds its tensor: one for all that have the same phases."""
    merged: dict[tuple, Form] = {}
    for read in reads:
        key = read.name, read.form.phases
        merged[key] = read.form.merged(merged.get(key, read.form))
    return {read: _Stored(read.name, merged[read.name, read.form.phases]) for read in reads}


def _order_of_work(network: Network, c: Configuration) -> list[_Work]:
    """All stages in order; copies come just before the first layer that reads them.

    A layer of stride 1 cannot read planes: the pixels of its window would lie in the same banks.
    Hence the copies, where a layer of another stride reads the same tensor. Where that one reads
    the first plane alone (as the points beside the blocks of a ResNet-50 do), its copy has no more.
    """
    layers = [(layer, _reads(layer, network.shapes[layer.name], c)) for layer in _needed(network)]
    forms = _forms([read for _, reads in layers for read in reads])
    wanted: dict[str, set[_Stored]] = {}
    for stored in forms.values():
        wanted.setdefault(stored.name, set()).add(stored)
    made = {
        name: next(iter(own)) if len(own) == 1 else _Stored(name, PLAIN)
        for name, own in wanted.items()
    }
    image = network.input.name
    order = [_Work(name=image, writes=made[image])]
    there = {made[image]}
    for layer, asked in layers:
        reads = tuple(forms[read] for read in asked)
        for read in reads:
            if read not in there:
                order.append(_Work(name=read.name, reads=(made[read.name],), writes=read))
                there.add(read)
        writes = made.get(layer.name)
        order.append(_Work(name=layer.name, layer=layer, reads=reads, writes=writes))
        if writes is not None:
            there.add(writes)
    return order


def _replaces_residual(work: _Work) -> bool:
    """Whether a stage may write its output over its residual, if nothing else reads that later.

    Output and residual have the same shape, and here the same form: a unit of output channels of a
    pixel goes to the very unit of a word from which its residual comes. (A unit is a word, or with
    ``och < ich`` a part of one; the store leaves the other parts as they are.) Each unit of the
    residual is used once, for these outputs. They depend on it, hence none of them is written
    before it has been read, however many pixel tiles are on their way from the window to the store.
    Of the words that the window reads besides, behind the last channel or outside of the map,
    nothing is used.

    The input must be another tensor: it is read again for neighbouring pixels and for later tiles
    of output channels, when the first outputs are written.
    """
    if len(work.reads) < 2 or work.writes is None:
        return False
    source, residual = work.reads
    return source != residual and work.writes.form == residual.form


def schedule(network: Network, c: Configuration, batch: int = 1) -> tuple[list[Stage], MemoryPlan]:
    """Plan a network: leave out what the result does not need, and place every tensor.

    A tensor whose readers have one stride is stored for that stride. One that is read with several,
    or as a residual besides, is stored plainly, and copied for the other strides by a pool of 1x1.
    Strides along an axis with one bank do not count.
    A conv writes its output over its residual where it can. Every tensor has ``batch`` images.

    Returns
    -------
    list of Stage, MemoryPlan

    Raises
    ------
    InputError
        The network uses what the engine does not do, or the tensors do not fit into the activation
        memory.
    """
    check_version_1(network)
    order = _order_of_work(network, c)
    reads: dict[_Stored, list[int]] = {}
    for at, work in enumerate(order):
        for read in set(work.reads):
            reads.setdefault(read, []).append(at)
    tensors: dict[_Stored, StoredTensor] = {}
    numbers: dict[_Stored, int] = {}
    for at, work in enumerate(order):
        if work.writes is None:
            continue
        over = None
        if _replaces_residual(work) and reads[work.reads[1]][-1] == at:
            over = numbers[work.reads[1]]
        numbers[work.writes] = len(tensors)
        tensors[work.writes] = StoredTensor(
            name=work.name,
            layout=Layout(network.shapes[work.name], work.writes.form, c, images=batch),
            copy=work.layer is None and bool(work.reads),
            first=at,
            reads=tuple(reads[work.writes]),
            over=over,
        )
    plan = plan_memory(
        list(tensors.values()), [work.title for work in order], available=c.activation_words
    )
    placed = {
        stored: Placed(tensor.layout, address)
        for (stored, tensor), address in zip(tensors.items(), plan.addresses, strict=True)
    }
    return [_stage(work, network, placed) for work in order], plan


def _stage(work: _Work, network: Network, placed: dict[_Stored, Placed]) -> Stage:
    layer, reads = work.layer, [placed[read] for read in work.reads]
    shape = network.shapes[work.name]
    source = reads[0] if reads else None
    target = None if work.writes is None else placed[work.writes]
    if layer is None:
        operation = Operation.MAX_POOL if reads else Operation.LOAD
        return Stage(name=work.name, operation=operation, source=source, target=target, shape=shape)
    top, left, *_ = layer.padding
    operations = {Conv: Operation.CONV, MaxPool: Operation.MAX_POOL, AvgPool: Operation.AVG_POOL}
    return Stage(
        name=work.name,
        operation=operations[type(layer)],
        layer=layer,
        kernel=layer.kernel,
        stride=_stride(layer, shape),
        padding=(top, left),
        source=source,
        residual=reads[1] if len(reads) > 1 else None,
        target=target,
        shape=shape,
    )
