"""What a tensor of the model is in integers."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError
from hiddenite.importer.elementwise import Step

Axes = tuple[tuple[str, ...], ...]

MAPS: Axes = (("N",), ("C",), ("H",), ("W",))
"""The axes of a map as ONNX orders them."""

LINES: Axes = (("N",), ("C",), ("W",))
"""The axes of a map of one line."""

MAX_NUMBERS = 2**27
"""The most numbers of a tensor over which a constant is broadcast."""

_SUM_ERROR = 2.0**-22

FLAT: Axes = (("N",), ("C", "H", "W"))
"""The axes of a map that has been flattened."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor of the network.

    Attributes
    ----------
    name : str
        Its name in the network.
    type : {"uint8", "int8"}
        Type of its codes.
    shape : (int, int, int)
        Height, width, channels.
    low, high : int array, (C,)
        The least and the largest code of each channel that can occur.
    unit, zero : float
        A code stands for unit * (code - zero); the unit is not 0.
    """

    name: str
    type: str
    shape: tuple[int, int, int]
    low: np.ndarray
    high: np.ndarray
    unit: float
    zero: float

    def real(self, code):
        """Return what codes (C, K) stand for, as float64."""
        return self.unit * (code - self.zero)


@dataclass(frozen=True, kw_only=True)
class Sum:
    """Accumulators of a conv that is yet to be written.

    Attributes
    ----------
    input : Stored
        What it reads.
    weights : int8 array, (O, KH, KW, I)
        Each -1, 0 or 1.
    stride, dilation : (int, int)
        As in a conv, like the next two.
    padding : (int, int, int, int)
    groups : int
    shape : (int, int, int)
        Height, width, channels.
    low, high : int array, (O,)
        Bounds of each channel's accumulators.
    scale, centre : float array, (O,)
        An accumulator stands for scale * (accumulator - centre).
    average : bool
        Whether it is the sum of a whole map in each channel.
    """

    input: Stored
    weights: np.ndarray = field(repr=False)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    shape: tuple[int, int, int]
    low: np.ndarray
    high: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    average: bool = False

    def real(self, accumulator):
        """Return what accumulators (O, K) stand for, as float64."""
        return self.scale[:, None] * (accumulator - self.centre[:, None])

    @property
    def rounding(self):
        """How far the model's own sums in float32 may be from these, (O,).

        It is 0 where they are exact, whatever their order: where all of them are small multiples
        of a power of 2. Elsewhere it is what sums of blocks of usual sizes hardly reach.
        """
        sizes = np.abs(self.low - self.centre) + np.abs(self.high - self.centre)
        # Centres may be halves.
        mantissa = (np.frexp(self.scale / 2)[0] * 2.0**53).astype(np.int64)
        units = np.abs(mantissa // (mantissa & -mantissa))
        exact = 2.0 * units * sizes < 2**24
        return np.where(exact, 0, _SUM_ERROR * np.abs(self.scale) * sizes)


@dataclass(frozen=True, kw_only=True)
class Move:
    """A maximum pool or an upsampling, which changes places and no values.

    Attributes
    ----------
    where : str
        How messages name its node.
    arguments : dict
        Fields of the layer but its name and input.
    maximum : bool
        Whether it is a maximum pool.
    """

    where: str
    name: str
    arguments: dict
    maximum: bool


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor of the model: an integer tensor, functions of single numbers, and moves.

    Attributes
    ----------
    source : Stored or Sum
        The integers.
    chain : tuple of Step
        Functions, one after the other, of what an integer stands for.
    moves : tuple of Move
        What comes after them; a function commutes with a move where it increases.
    shape : (int, int, int)
        Height, width, channels.
    axes : tuple of tuples of str
        Which of N, C, H and W each axis of the model's tensor runs through, the slowest first.
    """

    source: Stored | Sum
    chain: tuple[Step, ...] = ()
    moves: tuple[Move, ...] = ()
    shape: tuple[int, int, int]
    axes: Axes

    @property
    def sizes(self):
        """The number of each axis' places, by its letter."""
        height, width, channels = self.shape
        return {"N": 1, "C": channels, "H": height, "W": width}

    @property
    def dims(self):
        """The shape of the model's tensor of one image."""
        return tuple(math.prod(self.sizes[letter] for letter in axis) for axis in self.axes)

    def real(self, integers):
        """Return values for integers (C, K) in real arithmetic, which is float64 here."""
        return self._run(self.source.real(integers))

    def computed(self, integers):
        """Return values for integers (C, K) as the model computes them, in float32."""
        return self._run(self.source.real(integers).astype(np.float32))

    def nearby(self, integers, side):
        """Return `computed` values for what the model's sums may be instead, on a side, -1 or 1."""
        x = self.source.real(integers)
        if isinstance(self.source, Sum):
            x = x + side * self.source.rounding[:, None]
        return self._run(x.astype(np.float32))

    def _run(self, x):
        with np.errstate(all="ignore"):
            for step in self.chain:
                x = step.function(x)
        return x

    def then(self, step):
        """Return the value that a function makes of this one."""
        if any(move.maximum for move in self.moves) and not (step.direction >= 0).all():
            channel = int((step.direction < 0).argmax())
            move = next(move for move in self.moves if move.maximum)
            raise InputError(
                f"{step.where}: must not decrease in channel {channel}, as {move.where} takes the"
                " maximum of what is not quantised yet: quantise before that pool"
            )
        return replace(self, chain=(*self.chain, step))

    def per_channel(self, where, name, constant):
        """Return a constant, which the model broadcasts over this value, for each channel.

        Parameters
        ----------
        where, name : str
            What messages call the node and the constant.
        constant : array
            float32 or integers.

        Returns
        -------
        float32 array, (C, 1)

        Raises
        ------
        InputError
            It is not finite, of another type or shape, or not the same all over a channel.
        """
        check_float(where, name, constant)
        channels = self.shape[2]
        if constant.size == 1 and constant.ndim <= len(self.dims):
            return np.full((channels, 1), constant.reshape(-1)[0], np.float32)
        try:
            fits = np.broadcast_shapes(constant.shape, self.dims) == self.dims
        except ValueError:
            fits = False
        if not fits:
            raise InputError(
                f"{where}: {name} must fit the shape {self.dims}, not be of shape {constant.shape}"
            )
        if math.prod(self.dims) > MAX_NUMBERS:
            raise InputError(
                f"{where}: what it reads must hold at most {MAX_NUMBERS:,} numbers, not"
                f" {math.prod(self.dims):,}"
            )
        full = np.broadcast_to(constant, self.dims)
        letters = [letter for axis in self.axes for letter in axis]
        full = full.reshape([self.sizes[letter] for letter in letters])
        full = np.moveaxis(full, letters.index("C"), 0).reshape(channels, -1)
        if (full != full[:, :1]).any():
            channel = int((full != full[:, :1]).any(1).argmax())
            raise InputError(
                f"{where}: {name} must be the same for all pixels of a channel, not as in channel"
                f" {channel}"
            )
        return full[:, :1].astype(np.float32)


def check_float(where, name, constant):
    """Raise `InputError` unless a constant is of finite float32 numbers or integers."""
    if constant.dtype != np.float32 and constant.dtype.kind not in "iu":
        raise InputError(f"{where}: {name} must be float32, not {constant.dtype}")
    bad = ~np.isfinite(constant)
    if bad.any():
        raise InputError(f"{where}: {name} must be finite, not {one_line(float(constant[bad][0]))}")
