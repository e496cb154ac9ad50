"""What an operation of a traced model is on the hardware, and what is refused.

Every rule is a function of the place in the model and of the operation's arguments, named as
PyTorch names them; those that depend on the image are of the classes of `values.Value`. Rules of
poolings are in `pools`, those of sums and products in `arithmetic`.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.values import Accumulated, Affine, Hosted, Operand, Stored
from hiddenite.training.layers.coded import CodedLinear

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
    """

    place: str
    name: str
    result: Any

    @property
    def shape(self):
        """Shape of the result, or None if it is no tensor."""
        return tuple(self.result.shape) if torch.is_tensor(self.result) else None

    def refuse(self, rule):
        """Raise `InputError`."""
        raise InputError(f"{self.place}: {rule}") from None


def hint(name):
    """Return why a module or function of this name is refused, and what to do."""
    name = name.lower()
    if "softmax" in name:
        return "the result is that of the last layer: apply it outside the model"
    if any(part in name for part in _ACTIVATIONS):
        return "has no 8-bit output: use QuantizedReLU"
    if name in ("conv2d", "linear"):
        new = "HiddenConv2d" if name == "conv2d" else "HiddenLinear"
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
        site.refuse(f"must read 8-bit activations, not {value}: put a QuantizedReLU before it")
    operand = Operand.of(value) if isinstance(value, Stored) else value
    if isinstance(module, CodedLinear):
        if any(operand.padding):
            site.refuse(f"must not read {operand}: only a convolution or a pooling reads padding")
        if (module.in_channels, *module.kernel_size) != operand.shape:
            site.refuse(
                f"map_size must be {operand.shape[1:]} for the {operand.shape[0]} channels of"
                f" {operand.input}, not {module.kernel_size} for {module.in_channels}"
            )
    elif len(site.shape) != 4:
        site.refuse(f"must read images (N, C, H, W), not a result of shape {site.shape}")
    own = pair(module.padding)
    if operand.offset is not None and any(own):
        site.refuse(
            f"padding must be 0, not {own}, as it pads with zeros what {operand.place!r} has"
            " shifted: pad with nn.ZeroPad2d before that, or shift nothing"
        )
    padding = (0, 0)
    if not isinstance(module, CodedLinear):
        window = module.kernel_size, module.stride
        padding = whole_padding(site, operand, own, *window, site.shape[2:])
    shape = (*site.shape[1:], 1, 1)[:3]
    affine = _finite(site, Affine.of(module, operand, site.result))
    return Accumulated(site.name, module, operand, padding, shape, affine)


def whole_padding(site, operand, own, kernel, stride, size):
    """Return height and width of all zeros around the activations that a window moves over.

    Parameters
    ----------
    site : Site
        The convolution or pooling.
    operand : Operand
        What it reads.
    own, kernel, stride : (int, int)
        Its own padding, and its window.
    size : (int, int)
        Height and width of its result.
    """
    left, right, top, bottom = operand.padding
    padding = top + own[0], left + own[1]
    for zeros, width in zip(padding, kernel, strict=True):
        if zeros >= width:
            site.refuse(f"padding must be less than the kernel's {width}, not {zeros}")
    if size != windows(operand.input.shape[1:], padding, kernel, stride):
        site.refuse(
            f"the zeros that {operand.place!r} puts around its map must be the same on opposite"
            f" sides, not {left} and {right} at left and right, {top} and {bottom} above and below"
        )
    return padding


def windows(size, padding, kernel, stride):
    """Return how many windows a map of a size has down and across."""
    axes = zip(size, padding, kernel, stride, strict=True)
    return tuple((pixels + 2 * zeros - width) // step + 1 for pixels, zeros, width, step in axes)


def norm(site, module, value):
    """A batch normalisation."""
    single = isinstance(value, Stored | Operand) and value.shape[0] == 1
    if not isinstance(value, Accumulated) and not single:
        site.refuse(f"must be directly behind a convolution or linear layer, not behind {value}")
    if isinstance(value, Accumulated) and value.residual is not None:
        site.refuse(f"must be before the residual {value.residual.name!r} is added, not behind it")
    if module.running_mean is None:
        site.refuse("must track running statistics, not normalise by those of a batch")
    if module.num_features != value.shape[0]:
        site.refuse(
            f"must have the {value.shape[0]} channels of {value}, not {module.num_features}"
        )
    if isinstance(value, Accumulated):
        return replace(value, affine=_finite(site, value.affine.normalised(module)))
    # All weights of the convolution behind it have the same factor. Training moves its zero.
    slope, level = _affine_numbers(module)
    return changed_operand(site, value, slope.item(), level)


def _affine_numbers(norm):
    """Return factor and offset of each channel of a batch normalisation in evaluation mode."""
    slope = 1 / (norm.running_var.double() + norm.eps).sqrt()
    level = -norm.running_mean.double() * slope
    if norm.affine:
        weight = norm.weight.detach().double()
        slope, level = slope * weight, level * weight + norm.bias.detach().double()
    return slope, level


def changed_operand(site, value, factor, offset):
    """Return activations times a factor, plus an offset or None."""
    operand = Operand.of(value) if isinstance(value, Stored) else value
    if offset is None:
        offset = None if operand.offset is None else operand.offset * factor
    elif operand.offset is not None:
        offset = operand.offset * factor + offset
    check_numbers(site, torch.tensor([factor]), *(() if offset is None else (offset,)))
    if not factor:
        site.refuse("its factor must not be 0")
    return replace(operand, place=site.name, factor=operand.factor * factor, offset=offset)


def check_numbers(site, *numbers):
    """Refuse numbers, (C, ...), that are not finite."""
    for tensor in numbers:
        wrong = ~tensor.isfinite().reshape(len(tensor), -1).all(1)
        if wrong.any():
            channel = int(wrong.nonzero()[0])
            site.refuse(f"its numbers must be finite, which those of channel {channel} are not")


def _finite(site, affine):
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
    if height == width == 1:
        shapes.append((channels, 1))
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
        site.refuse(f"must be applied to the result of a layer, not to {value}")
    axes = len(site.shape) + (function == "argmax")
    if dim is None and function != "argmax":
        dim = 1  # as PyTorch takes it
    if dtype is not None or not isinstance(dim, int) or dim % axes != 1:
        found = f"dim {dim!r}" if dtype is None else f"of type {dtype}"
        site.refuse(f"must be over the channels, dim 1, and keep the type, not {found}")
    return Hosted(site.place, function, value, axes == 2)
