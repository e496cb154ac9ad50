"""Which tensors are stored, in which form, and which of them lie inside of another.

A tensor whose readers have one stride is stored for that stride. One that is read with several, or
as a residual besides, is stored plainly, and copied for the other strides. Strides along an axis
with one bank do not count.

The parts of a concat are written where they belong in it, in the form in which it is read: nothing
is copied. That takes parts that begin a word. Those between two of them are stored side by side,
each from a word on, and convs pack their channels (see `hiddenite.compiler.lowering.concat`). A
part that lies in one place already is copied for the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hiddenite.compiler.layout import PLAIN, Form
from hiddenite.golden.network import Concat, Layer, Network, Upsample, Window
from hiddenite.rtl.configuration import Configuration

from .work import Stored

__all__ = ["Run", "Storage", "moving_stride", "word_runs"]


@dataclass(frozen=True)
class Run:
    """Parts of a concat from a word's begin to a word's end, or to the end of the concat.

    Attributes
    ----------
    first : int
        Channel of the concat with which it begins.
    parts : tuple of str
        Their names.
    at : tuple of int
        Channel of ``holder`` with which each of them begins.
    holder : Stored
        In which they lie: the concat itself, if there is one part, or else a tensor that has them
        side by side.
    """

    first: int
    parts: tuple[str, ...]
    at: tuple[int, ...]
    holder: Stored

    @property
    def places(self) -> list[tuple[str, int, Stored]]:
        """Name, first channel and holder of each part."""
        return [(part, at, self.holder) for part, at in zip(self.parts, self.at, strict=True)]


def word_runs(channels: Sequence[int], ich: int) -> list[list[int]]:
    """Numbers of the parts of each run of a concat, for the channels of its parts."""
    runs: list[list[int]] = []
    end = 0
    for number, own in enumerate(channels):
        if end % ich == 0:
            runs.append([])
        runs[-1].append(number)
        end += own
    return runs


def moving_stride(layer: Window, shape: tuple[int, int, int]) -> tuple[int, int]:
    """The layer's stride, 1 along an axis where the window does not move."""
    vertical, horizontal = layer.strides
    return vertical if shape[0] > 1 else 1, horizontal if shape[1] > 1 else 1


def _asked(layer: Layer, shape: tuple[int, int, int], c: Configuration) -> tuple[Form, ...]:
    """Form in which a layer reads each of its inputs; of a concat, see `Run`.

    Along an axis with one bank, the increments of the addresses make any stride. With more banks,
    the pixels of a window must be in different ones wherever it lies: only planes give that.
    """
    if not isinstance(layer, Window):
        return (PLAIN,) * len(layer.inputs)
    vertical, horizontal = moving_stride(layer, shape)
    phases = vertical if c.rows > 1 else 1, horizontal if c.cols > 1 else 1
    # A kernel of one pixel lies on the first plane alone.
    first_y, first_x = (
        phase > 1 and size == 1 for phase, size in zip(phases, layer.kernel, strict=True)
    )
    return Form(phases, (first_y, first_x)), *[PLAIN] * (len(layer.inputs) - 1)


class Storage:
    """Decides for all tensors of a network.

    Parameters
    ----------
    network : Network
    layers : sequence of Layer
        Those that are needed, in order.
    c : Configuration
    store_result : bool
        The last layer's output is stored, too, before it is sent.

    Attributes
    ----------
    made : dict of str to Stored
        As what each layer, or the image, is written; what is not stored is not there.
    reads : dict of str to tuple of Stored
        As what each layer finds its inputs.
    runs : dict of str to list of Run
        Of each concat.
    inside : dict of Stored to (Stored, int)
        In which tensor another one lies, and from which of its channels on.
    """

    def __init__(
        self, network: Network, layers: Sequence[Layer], c: Configuration, *, store_result: bool
    ):
        self.c = c
        self._shapes, self._types = network.shapes, network.types
        self._own: dict[Stored, tuple[tuple[int, int, int], str]] = {}
        self.made: dict[str, Stored] = {}
        self.reads: dict[str, tuple[Stored, ...]] = {}
        self.runs: dict[str, list[Run]] = {}
        self.inside: dict[Stored, tuple[Stored, int]] = {}

        # From the last reader of each tensor to the first one.
        asked: dict[str, dict[tuple[int, int], Form]] = {name: {} for name in network.shapes}
        holders: dict[str, list[Stored]] = {name: [] for name in network.shapes}
        for layer in reversed(layers):
            name = layer.name
            if layer is layers[-1]:
                if store_result:
                    self.made[name] = Stored(name)
            else:
                plain = isinstance(layer, Upsample)
                self.made[name] = _made(name, asked[name], holders[name], plain)
            if isinstance(layer, Concat):
                self.runs[name] = self._divided(layer)
                for run in self.runs[name]:
                    for part in run.parts:
                        holders[part].append(run.holder)
                continue
            forms = _asked(layer, self._shapes[name], c)
            for source, form in zip(layer.inputs, forms, strict=True):
                own = asked[source]
                own[form.phases] = form.merged(own.get(form.phases, form))
        image = network.input.name
        self.made[image] = _made(image, asked[image], holders[image], False)

        for layer in layers:
            if isinstance(layer, Concat):
                self.reads[layer.name] = tuple(
                    self._put(*place) for run in self.runs[layer.name] for place in run.places
                )
                continue
            forms = _asked(layer, self._shapes[layer.name], c)
            self.reads[layer.name] = tuple(
                Stored(source, asked[source][form.phases])
                for source, form in zip(layer.inputs, forms, strict=True)
            )

    def shape(self, stored: Stored) -> tuple[int, int, int]:
        """Shape of a tensor."""
        return self._own[stored][0] if stored in self._own else self._shapes[stored.name]

    def type(self, stored: Stored) -> str:
        """Type of a tensor."""
        return self._own[stored][1] if stored in self._own else self._types[stored.name]

    def holders(self, stored: Stored) -> list[Stored]:
        """A tensor, that inside of which it lies, that inside of which this one lies, and so on."""
        found = [stored]
        while found[-1] in self.inside:
            found.append(self.inside[found[-1]][0])
        return found

    def add(self, name: str, layer: Layer, number: int, shape: tuple[int, int, int]) -> Stored:
        """A plain tensor that the network does not have, for one of its layers, whose type it has.

        Its number tells it from others.
        """
        stored = Stored(name, number=-1 - number)
        self._own[stored] = shape, self._types[layer.name]
        return stored

    def _divided(self, layer: Concat) -> list[Run]:
        """Runs of a concat."""
        ich = self.c.ich
        height, width, _ = self._shapes[layer.name]
        channels = [self._shapes[name][2] for name in layer.inputs]
        runs, first = [], 0
        for number, own in enumerate(word_runs(channels, ich)):
            parts = tuple(layer.inputs[index] for index in own)
            if len(own) == 1:
                # A result of one part is stored, too.
                runs.append(Run(first, parts, (first,), self.made[layer.name]))
            else:
                at, end = [], 0
                for index in own:
                    at.append(end)
                    end += -(-channels[index] // ich) * ich
                shape = height, width, at[-1] + channels[own[-1]]
                side = self.add(f"parts of {layer.name}", layer, number, shape)
                runs.append(Run(first, parts, tuple(at), side))
            first += sum(channels[index] for index in own)
        return runs

    def _put(self, name: str, first: int, holder: Stored) -> Stored:
        """Let a tensor lie inside of another one; a copy of it, if it lies elsewhere already."""
        stored, number = Stored(name, holder.form), 0
        while stored in self.inside:
            number += 1
            stored = Stored(name, holder.form, number)
        self.inside[stored] = holder, first
        return stored


def _made(
    name: str, asked: dict[tuple[int, int], Form], holders: list[Stored], plain: bool
) -> Stored:
    """As what a tensor is written that is wanted in these forms, and inside of these others."""
    forms = {*asked.values(), *(holder.form for holder in holders)}
    # Only what is plain can be copied.
    if plain or len(forms) > 1 or len(holders) > 1:
        return Stored(name)
    (form,) = forms
    return Stored(name, form)
