"""What an operation of a traced model is on the hardware, and what is refused.

Every rule is a function of the place in the model and of the operation's arguments, named as
PyTorch names them; those that depend on the image are of the classes of `values.Value`. Rules of
poolings are in `pools`, those of sums and products in `arithmetic`, those of normalisations in
`norms`, those of concatenations in `joins`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.values import (
    Accumulated,
    Affine,
    Hosted,
    Operand,
    Stored,
    Value,
)
from hiddenite.training.layers.coded import CodedConv1d, CodedLinear

_ACTIVATIONS = ("elu", "sigmoid", "tanh", "swish", "silu", "softplus", "clamp", "clip")


@dataclass(frozen=True)
class Site:
    """A place in the model.

    Attributes
    ----------
    place : str
        How messages name it.
    name : str
        What a layer made there is called.
    result : tensor, or anything else
        The operation's result for the example, as PyTorch has it.
    seed : int
        Of the model's hidden weights.
    rounded : callable, optional
        ``rounded(site, value, rule, later)`` returns the stored activations that a value becomes
        where something reads it that needs them, or refuses it by the rule, as it is by default.
        `later` says that another value could be rounded in its place.
    joined : callable, optional
        Likewise, ``joined(site, values)`` returns the stored activations of one unit and type that
        the parts of a concatenation become.
    """

    place: str
    name: str
    result: Any
    seed: int = 1
    rounded: "Callable[[Site, Value, str, bool], Stored] | None" = None
    joined: "Callable[[Site, list[Value]], list[Stored]] | None" = None

    @property
    def shape(self):
        """Shape of the result, or None if it is no tensor."""
        return tuple(self.result.shape) if torch.is_tensor(self.result) else None

    @property
    def axes(self):
        """How many axes the result has: 4 are maps, 3 are rows, 2 are features."""
        return self.result.dim()

    @property
    def maps(self):
        """Shape of the result as maps, (C, H, W): rows have height 1, features 1 x 1 pixels."""
        _, *shape = self.shape
        return map_shape(shape)

    def refuse(self, rule):
        """Raise `InputError`."""
        raise InputError(f"{self.place}: {rule}") from None

    def stored(self, value, rule, later=False):
        """Return the stored activations that a value is or becomes; the rule refuses it."""
        if isinstance(value, Stored):
            return value
        padded = isinstance(value, Operand) and value.is_padded_only
        if self.rounded is None or padded:
            return self.refuse(rule)
        return self.rounded(self, value, rule, later)


def map_shape(shape):
    """Return the shape of an image or of features, batch excluded, as (C, H, W)."""
    channels, *size = shape
    return (channels, *(1,) * (2 - len(size)), *size)


def hint(name):
    """Return why a module or function of this name is refused, and what to do."""
    name = name.lower()
    if "softmax" in name:
        return "the result is that of the last layer: apply it outside the model"
    if any(part in name for part in _ACTIVATIONS):
        return "has no 8-bit output: use QuantizedReLU"
    if name in ("conv1d", "conv2d", "linear"):
        new = f"HiddenConv{name[4:]}" if name != "linear" else "HiddenLinear"
        return f"its weights would have to be stored: use {new}"
    if "pad" in name:
        return "only zeros can be put around activations: use nn.ZeroPad2d"
    return "the hardware has no such operation"


def check_finite(place, name, tensor):
    """Raise `InputError` unless all numbers of a tensor, output channels first, are finite."""
    wrong = ~tensor.detach().isfinite().flatten(1 if tensor.dim() > 1 else 0)
    if wrong.any():
        channel = int(wrong.nonzero()[0, 0])
        raise InputError(
            f"{place}: its {name} must be finite, which those of channel {channel} are not: the"
            " training has diverged"
        )


def conv(site, module, value):
    """A convolution or linear layer with coded weights."""
    if not isinstance(value, Stored | Operand):
        channelwise = isinstance(value, Accumulated) and value.is_channelwise
        quantizer = "QuantizedIdentity" if channelwise else "QuantizedReLU"
        value = site.stored(
            value, f"must read 8-bit activations, not {value}: put a {quantizer} before it"
        )
    own = module.padding
    if isinstance(value, Operand) and value.offset is not None and any(own):
        value = site.stored(
            value,
            f"padding must be 0, not {own}, as it pads with zeros what {value.place!r} has"
            " shifted: put a QuantizedIdentity behind that, pad with nn.ZeroPad2d before that, or"
            " shift nothing",
        )
    operand = Operand.of(value) if isinstance(value, Stored) else value
    padding: tuple[int, ...] = (0, 0)
    if isinstance(module, CodedLinear):
        if any(operand.padding):
            site.refuse(f"must not read {operand}: only a convolution or a pooling reads padding")
        if (module.in_channels, *module.kernel_size) != operand.shape:
            site.refuse(
                f"map_size must be {operand.shape[1:]} for the {operand.shape[0]} channels of"
                f" {operand.input}, not {module.kernel_size} for {module.in_channels}"
            )
    else:
        axes, what = (3, "rows (N, C, L)") if isinstance(module, CodedConv1d) else (4, _IMAGES)
        if len(site.shape) != axes:
            site.refuse(f"must read {what}, not a result of shape {site.shape}")
        window = module.kernel_size, module.stride, module.dilation
        padding = whole_padding(site, operand, own, *window)
    affine = finite(site, Affine.of(module, operand, site.result))
    return Accumulated(site.name, module, operand, padding, site.maps, affine)


_IMAGES = "images (N, C, H, W)"


def whole_padding(site, operand, own, kernel, stride, dilation=(1, 1)):
    """Return all zeros around the activations that a window moves over.

    They are height and width, where the same zeros on opposite sides do, or else those of the top,
    left, bottom and right.

    Parameters
    ----------
    site : Site
        The convolution or pooling.
    operand : Operand
        What it reads.
    own : (int, int) or (int, int, int, int)
        Its own padding, likewise.
    kernel, stride, dilation : (int, int)
        Its window.
    """
    left, right, top, bottom = operand.padding
    zeros = (top, left, bottom, right)
    zeros = tuple(sum(pair) for pair in zip(zeros, own * 2 if len(own) == 2 else own, strict=True))
    size, alike = operand.input.shape[1:], zeros[:2]
    if windows(size, alike, kernel, stride, dilation) == site.maps[1:]:
        zeros = alike * 2
    for each, taps, gap in zip(zeros, kernel * 2, dilation * 2, strict=True):
        reach = (taps - 1) * gap
        if each > reach:
            name = "kernel" if gap == 1 else "dilated kernel"
            site.refuse(f"padding must be less than the {name}'s {reach + 1}, not {each}")
    return alike if zeros[:2] == zeros[2:] else zeros


def windows(size, padding, kernel, stride, dilation=(1, 1)):
    """Return how many windows a map of a size has down and across, padded alike on both sides."""
    axes = zip(size, padding, kernel, stride, dilation, strict=True)
    return tuple(
        (pixels + 2 * zeros - (taps - 1) * gap - 1) // step + 1
        for pixels, zeros, taps, step, gap in axes
    )


def check_numbers(site, *numbers):
    """Refuse numbers, (C, ...), that are not finite."""
    for tensor in numbers:
        wrong = ~tensor.isfinite().reshape(len(tensor), -1).all(1)
        if wrong.any():
            channel = int(wrong.nonzero()[0])
            site.refuse(f"its numbers must be finite, which those of channel {channel} are not")


def finite(site, affine):
    """Return an affine map whose numbers are finite."""
    spread = () if affine.spread is None else (affine.spread,)
    check_numbers(site, affine.slope, affine.centre, affine.level, *spread)
    return affine


def dropout(site, input, p=0.5, training=True, inplace=False):
    """A dropout, which does nothing in evaluation mode."""
    if training and p:
        site.refuse("must drop nothing in evaluation mode: give it training=self.training")
    return input


def pair(value):
    """Return (height, width); one number stands for two, as does a tuple of one."""
    value = (value,) if isinstance(value, int) else tuple(value)
    return value * 2 if len(value) == 1 else value


def reshape(site, value):
    """Maps that are flattened, or get their shape back."""
    channels, height, width = value.shape
    shapes = [(channels * height * width,), value.shape]
    if height == 1:
        shapes.append((channels, width))
    if site.shape[1:] not in shapes:
        site.refuse(
            f"must leave {value}, {channels} x {height} x {width}, or flatten it for each image,"
            f" not make shape {site.shape} of it"
        )
    return value


def softmax(site, input, dim=None, _stacklevel=3, dtype=None):
    """A softmax of the result, which is left to the host."""
    return _hosted(site, "softmax", input, dim, dtype)


def log_softmax(site, input, dim=None, _stacklevel=3, dtype=None):
    """A logarithm of a softmax of the result, which is left to the host."""
    return _hosted(site, "log_softmax", input, dim, dtype)


def argmax(site, input, dim=None, keepdim=False):
    """The class of the result, which is left to the host."""
    if keepdim:
        site.refuse("keepdim must be False, not True")
    return _hosted(site, "argmax", input, dim, None)


def _hosted(site, function, value, dim, dtype):
    if not isinstance(value, Stored | Accumulated):
        value = site.stored(value, f"must be applied to the result of a layer, not to {value}")
    axes = len(site.shape) + (function == "argmax")
    if dim is None and function != "argmax":
        dim = 1  # as PyTorch takes it
    if dtype is not None or not isinstance(dim, int) or dim % axes != 1:
        found = f"dim {dim!r}" if dtype is None else f"of type {dtype}"
        site.refuse(f"must be over the channels, dim 1, and keep the type, not {found}")
    return Hosted(site.place, function, value, axes == 2, axes == 3)
