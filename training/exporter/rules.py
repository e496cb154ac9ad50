"""What an operation of a traced model is on the hardware, and what is refused.

Every rule is a function of the place in the model and of the operation's arguments, named as
PyTorch names them; those that depend on the image are `Stored`, `Accumulated` or `Averaged`.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.values import Accumulated, Affine, Averaged, MaxPlan, Stored, Value
from hiddenite.training.layers.coded import CodedLinear


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
    if any(part in name for part in ("elu", "sigmoid", "tanh", "swish", "silu", "softplus")):
        return "has no 8-bit output: use QuantizedReLU"
    if name in ("conv2d", "linear"):
        new = "HiddenConv2d" if name == "conv2d" else "HiddenLinear"
        return f"its weights would have to be stored: use {new}"
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
    if not isinstance(value, Stored):
        site.refuse(f"must read 8-bit activations, not {value}: put a QuantizedReLU before it")
    if isinstance(module, CodedLinear):
        if (module.in_channels, *module.kernel_size) != value.shape:
            site.refuse(
                f"map_size must be {value.shape[1:]} for the {value.shape[0]} channels of {value},"
                f" not {module.kernel_size} for {module.in_channels}"
            )
    elif len(site.shape) != 4:
        site.refuse(f"must read images (N, C, H, W), not a result of shape {site.shape}")
    for padding, kernel in zip(_pair(module.padding), module.kernel_size, strict=True):
        if padding >= kernel:
            site.refuse(f"padding must be less than the kernel's {kernel}, not {padding}")
    shape = (*site.shape[1:], 1, 1)[:3]
    affine = _finite(site, Affine.of(module, site.result))
    return Accumulated(site.name, module, value, shape, affine)


def norm(site, module, value):
    """A batch normalisation."""
    if not isinstance(value, Accumulated):
        site.refuse(f"must be directly behind a convolution or linear layer, not behind {value}")
    if value.residual is not None:
        site.refuse(f"must be before the residual {value.residual.name!r} is added, not behind it")
    if module.running_mean is None:
        site.refuse("must track running statistics, not normalise by those of a batch")
    if module.num_features != value.shape[0]:
        site.refuse(
            f"must have the {value.shape[0]} channels of {value}, not {module.num_features}"
        )
    return replace(value, affine=_finite(site, value.affine.normalised(module)))


def _finite(site, affine):
    """Return an affine map whose numbers are finite."""
    finite = affine.slope.isfinite() & affine.centre.isfinite() & affine.level.isfinite()
    if affine.spread is not None:
        finite &= affine.spread.isfinite()
    if not finite.all():
        channel = int((~finite).nonzero()[0])
        site.refuse(f"its numbers must be finite, which those of channel {channel} are not")
    return affine


def add(site, input, other, *, alpha=1):
    """A sum: a residual, or a bias."""
    if alpha != 1:
        site.refuse(f"alpha must be 1, not {alpha!r}")
    if not isinstance(other, Value):
        return _bias(site, input, other)
    if not isinstance(input, Value):
        return _bias(site, other, input)
    pair = f"cannot add {input} and {other}"
    if isinstance(input, Averaged) or isinstance(other, Averaged):
        site.refuse(f"{pair}: put a QuantizedReLU behind the average")
    if isinstance(input, Accumulated) and isinstance(other, Accumulated):
        site.refuse(
            f"{pair}: the residual must be 8-bit activations: put a QuantizedReLU behind the"
            " shortcut"
        )
    if isinstance(input, Stored) and isinstance(other, Stored):
        site.refuse(
            f"{pair}: one of them must be a convolution's result before its QuantizedReLU:"
            " put it behind the sum"
        )
    value, residual = (input, other) if isinstance(input, Accumulated) else (other, input)
    if value.residual is not None:
        site.refuse(
            f"{value} can have one residual, not {value.residual.name!r} and {residual.name!r}"
        )
    if value.shape != residual.shape:
        site.refuse(
            f"{residual} must have the shape {value.shape} of {value}, not {residual.shape}"
        )
    return reshape(site, replace(value, residual=residual))


def sub(site, input, other, *, alpha=1):
    """A difference: a constant that is subtracted from a convolution's result."""
    if alpha != 1 or not isinstance(input, Accumulated) or isinstance(other, Value):
        site.refuse("only a constant can be subtracted, and from a convolution's result")
    return _bias(site, input, -other)


def _bias(site, value, constant):
    """Return a value with a constant added to each channel."""
    if not isinstance(value, Accumulated):
        site.refuse(
            "a bias can be added to the signed result of a convolution or linear layer, not to"
            f" {value}"
        )
    channels = reshape(site, value).shape[0]
    constant = torch.as_tensor(constant, dtype=torch.float64)
    if constant.dim() == len(site.shape) and len(constant) > 1:
        site.refuse("a bias must be the same for all images")
    rows = constant.broadcast_to((1, *site.shape[1:])).reshape(channels, -1)
    affine = _finite(site, replace(value.affine, level=value.affine.level + rows[:, 0]))
    if not (rows == rows[:, :1]).all():
        site.refuse(f"a bias must be one number for each of the {channels} channels")
    return replace(value, affine=affine)


def dropout(site, input, p=0.5, training=True, inplace=False):
    """A dropout, which does nothing in evaluation mode."""
    if training and p:
        site.refuse("must drop nothing in evaluation mode: give it training=self.training")
    return input


def max_pool(
    site,
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """A maximum pooling."""
    if return_indices:
        site.refuse("return_indices must be False, not True")
    if _pair(dilation) != (1, 1):
        site.refuse(f"dilation must be 1, not {dilation!r}")
    window = _window(site, input, kernel_size, stride, padding, ceil_mode)
    return MaxPlan(site.name, input, site.shape[1:], *window)


def avg_pool(
    site,
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """An average pooling."""
    if divisor_override is not None:
        site.refuse(f"divisor_override must be None, not {divisor_override!r}")
    window = _window(site, input, kernel_size, stride, padding, ceil_mode)
    if any(window[2]) and not count_include_pad:
        site.refuse("count_include_pad must be True, not False")
    return Averaged(site.name, input, site.shape[1:], *window)


def adaptive_avg_pool(site, input, output_size):
    """An average pooling to a given size."""
    _check_pooled(site, input)
    size = site.shape[2:]
    if any(whole % part for whole, part in zip(input.shape[1:], size, strict=True)):
        site.refuse(f"output size must divide the map's {input.shape[1:]}, not be {size}")
    kernel = input.shape[1] // size[0], input.shape[2] // size[1]
    return Averaged(site.name, input, site.shape[1:], kernel, kernel, (0, 0))


def mean(site, input, dim=None, keepdim=False, *, dtype=None):
    """An average over whole maps."""
    _check_pooled(site, input)
    axes = [dim] if isinstance(dim, int) else list(dim or [])
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        site.refuse(f"must be over height and width, (2, 3), not {dim!r}")
    size = input.shape[1:]
    return Averaged(site.name, input, (input.shape[0], 1, 1), size, size, (0, 0))


def _check_pooled(site, value):
    if not isinstance(value, Stored):
        site.refuse(f"must pool 8-bit activations, not {value}: put the QuantizedReLU before it")


def _window(site, value, kernel, stride, padding, ceil_mode):
    """Return kernel, stride and padding as (height, width)."""
    _check_pooled(site, value)
    if ceil_mode:
        site.refuse("ceil_mode must be False, not True")
    stride = kernel if stride in (None, [], ()) else stride
    return _pair(kernel), _pair(stride), _pair(padding)


def _pair(value):
    """Return (height, width); one number stands for two, as does a tuple of one."""
    value = (value,) if isinstance(value, int) else tuple(value)
    return value * 2 if len(value) == 1 else value


def reshape(site, value):
    """Maps that are flattened, or get their shape back."""
    channels, height, width = value.shape
    if site.shape[1:] not in ((channels * height * width,), value.shape):
        site.refuse(
            f"must leave {value}, {channels} x {height} x {width}, or flatten it for each image,"
            f" not make shape {site.shape} of it"
        )
    return value
