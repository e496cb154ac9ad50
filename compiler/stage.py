"""A layer of a program: one walk of the window over a tensor, and where its outputs go."""

from dataclasses import dataclass

from hiddenite.golden.network import Conv, Window
from hiddenite.golden.weights import KEY_CHANNEL
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.output.wide_beats import may_skip_rows
from hiddenite.rtl.program.packets import Operation

from .layout import Placed

__all__ = ["Spread", "Stage", "Task", "beat_pixels", "tile_channels"]


def tile_channels(c: Configuration) -> int:
    """Channels of a tile of outputs that begins a word, and ends one."""
    return max(c.ich, c.och)


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


@dataclass(frozen=True)
class Spread:
    """Taps of a maximum that give each lane of a pixel tile the one pixel that it repeats.

    Along one axis. Lane n is inside of the map at a tap if its position, the tap's and n, is 0 to
    ``size`` - 1. Here that has nothing to do with the map: it chooses which lanes take a tap.

    Attributes
    ----------
    taps : int
    before : int
        Pixels from the first tap's to the one at which the pixel tile begins.
    first, step : int
        Position at the first tap; to that of the next one. It is the same for every pixel tile.
    size : int
    """

    taps: int
    before: int
    first: int
    step: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a stage does, wherever its tensors lie.

    Attributes
    ----------
    name : str
        Of the network's layer; of its input's, for the image and for copies.
    kind : str
        What the stage is for: ``"load"``, ``"copy"``, or the ``op`` of the network's layer.
    operation : Operation
    layer : Window, optional
        The conv or pool whose arithmetic it has: the network's layer, a part of it, or one that
        stands for it. None for the image, for copies and for what only moves activations.
    first_channel : int
        Output channel of the weights of ``layer`` that its first one has.
    kernel, stride, dilation : (int, int)
        Along an axis with several banks, a stage has a stride or a dilation.
    padding : (int, int)
        Above the map and left of it; what lies below and right of it follows from the shapes.
    spread : (Spread, Spread), optional
        Of an upsample along y and x.
    input_step : int
        Of a conv: words of an input pixel from those that it reads for a tile of outputs to those
        for the next one. The source has those of the first tile. Tiles have `tile_channels`.
    every : int
        It makes each so many-th tile of the outputs from the first one on.
    weights : int
        Weights of the network, kept or not, that it has.
    shape : (int, int, int)
        Of the output: height, width, channels that it makes.
    """

    name: str
    kind: str
    operation: Operation
    layer: Window | None = None
    first_channel: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    spread: tuple[Spread, Spread] | None = None
    input_step: int = 0
    every: int = 1
    weights: int = 0
    shape: tuple[int, int, int]

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{'tensor' if self.kind in ('load', 'copy') else 'layer'} {self.name!r}"

    @property
    def conv(self) -> Conv:
        """The layer of a conv's stage."""
        assert isinstance(self.layer, Conv)
        return self.layer

    @property
    def summed(self) -> int:
        """Numbers that a pool adds up."""
        height, width = self.kernel
        return height * width if self.operation is Operation.AVG_POOL else 1

    def weight_seed(self, seed: int) -> int:
        """Seed with which channel 0 has the weights of ``first_channel``, for the network's."""
        return (seed + self.first_channel * KEY_CHANNEL) % 2**32


@dataclass(frozen=True, kw_only=True)
class Stage(Task):
    """A task on tensors that are placed.

    Attributes
    ----------
    source, residual : Placed, optional
    target : Placed, optional
        None for the last stage, whose output goes to the result stream.
    source_type, residual_type, output_type : str
        ``"uint8"`` or ``"int8"``; that of an output may be ``"int32"``, too. Whatever makes it, or
        stands for what makes it, an output has the type of the network's tensor.
    """

    source: Placed | None = None
    residual: Placed | None = None
    target: Placed | None = None
    source_type: str = "uint8"
    residual_type: str = "uint8"
    output_type: str = "uint8"

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
