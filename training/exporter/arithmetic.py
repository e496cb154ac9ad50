"""What sums, products and zeros around a map are on the hardware, and what is refused."""

from dataclasses import replace

import torch

from hiddenite.training.exporter.norms import changed_operand, channelwise
from hiddenite.training.exporter.rules import check_numbers, reshape
from hiddenite.training.exporter.values import (
    Accumulated,
    Averaged,
    Operand,
    Stored,
    Summed,
    Value,
)


def add(site, input, other, *, alpha=1):
    """A sum: a residual, or a bias."""
    if alpha != 1:
        site.refuse(f"alpha must be 1, not {alpha!r}")
    if not isinstance(other, Value):
        return _shifted(site, input, other)
    if not isinstance(input, Value):
        return _shifted(site, other, input)
    pair = f"cannot add {input} and {other}"
    input, other = (_addend(site, value, pair) for value in (input, other))
    if isinstance(input, Accumulated) and isinstance(other, Accumulated):
        rule = (
            f"{pair}: the residual must be 8-bit activations: put a QuantizedReLU behind the"
            " shortcut"
        )
        if _weights(input) < _weights(other):
            input = site.stored(input, rule, later=True)
        else:
            other = site.stored(other, rule, later=True)
    value, residual = (other, input) if isinstance(other, Accumulated) else (input, other)
    if value.shape != residual.shape:
        site.refuse(
            f"{residual} must have the shape {value.shape} of {value}, not {residual.shape}"
        )
    if isinstance(value, Stored):
        # The residual's factor may be the larger one in a file.
        first, second = (value, residual) if value.step <= residual.step else (residual, value)
        return reshape(site, Summed(site.name, first, second, value.shape))
    return reshape(site, replace(value, residual=residual))


def _addend(site, value, pair):
    """Return what can be added: stored activations, or a convolution's result without a residual.

    `pair` is how a refusal begins.
    """
    if isinstance(value, Averaged):
        return site.stored(value, f"{pair}: put a QuantizedReLU behind the average")
    if isinstance(value, Summed):
        return site.stored(value, f"{pair}: put a QuantizedIdentity behind the first sum")
    if isinstance(value, Operand):
        return site.stored(value, f"{pair}: add what is stored, without {value.place!r}")
    if isinstance(value, Accumulated) and value.residual is not None:
        return site.stored(
            value,
            f"{pair}: {value} has the residual {value.residual.name!r} already: put a"
            " QuantizedIdentity behind that sum",
        )
    if not isinstance(value, Stored | Accumulated):
        site.refuse(pair)
    return value


def _weights(value):
    """Return how many weights a convolution has: a shortcut has fewer than the path beside it."""
    return next(value.conv.weights.parameters()).numel()


def sub(site, input, other, *, alpha=1):
    """A difference: a constant that is subtracted."""
    if alpha != 1 or not isinstance(input, Value) or isinstance(other, Value):
        site.refuse("only a constant can be subtracted, and nothing from a constant")
    return _shifted(site, input, -other)


def mul(site, input, other):
    """A product with a constant."""
    if isinstance(input, Value) and isinstance(other, Value):
        site.refuse(f"cannot multiply {input} and {other}: only a constant can be a factor")
    if not isinstance(input, Value):
        input, other = other, input
    return _scaled(site, input, torch.as_tensor(other, dtype=torch.float64))


def div(site, input, other, *, rounding_mode=None):
    """A quotient with a constant divisor."""
    if rounding_mode is not None or not isinstance(input, Value) or isinstance(other, Value):
        site.refuse("only a constant can be a divisor, and the quotient must not be rounded")
    return _scaled(site, input, 1 / torch.as_tensor(other, dtype=torch.float64))


def normalize(site, module, input):
    """torchvision's ``Normalize``."""
    if module.inplace:
        site.refuse("must not change the image in place: use inplace=False")
    mean, std = (
        torch.as_tensor(numbers, dtype=torch.float64).view(-1, 1, 1)
        for numbers in (module.mean, module.std)
    )
    return _scaled(site, _shifted(site, input, -mean), 1 / std)


def pad(site, input, pad, mode="constant", value=None):
    """Zeros around a map, which are the padding of the convolution or pooling that reads it."""
    if mode != "constant" or value:
        found = f"mode {mode!r}" if mode != "constant" else f"the value {value!r}"
        site.refuse(f"must pad with zeros, not with {found}")
    zeros = (*pad, *(0,) * (4 - len(pad)))
    if any(zeros[2 * (site.axes - 2) :]):
        site.refuse(f"must pad height and width alone, not by {tuple(pad)}")
    if min(zeros) < 0:
        site.refuse(f"must not cut from a map, as {tuple(pad)} does")
    if not any(zeros):
        return input
    if not isinstance(input, Stored | Operand):
        rule = f"must pad 8-bit activations, not {input}: put the QuantizedReLU before it"
        input = site.stored(input, rule)
    if isinstance(input, Operand) and input.offset is not None:
        input = site.stored(
            input,
            f"must not pad with zeros what {input.place!r} has shifted: put a QuantizedIdentity"
            " behind that, pad before that, or shift nothing",
        )
    operand = Operand.of(input) if isinstance(input, Stored) else input
    whole = tuple(old + new for old, new in zip(operand.padding, zeros, strict=False))
    return replace(operand, place=site.name, shape=site.maps, padding=whole)


def _shifted(site, value, constant):
    """Return a value with a constant added to each channel."""
    if not isinstance(value, Accumulated | Stored | Operand):
        value = site.stored(
            value,
            "a constant can be added to stored activations or to the signed result of a convolution"
            f" or linear layer, not to {value}",
        )
    numbers = _per_channel(site, value, constant)
    if isinstance(value, Accumulated):
        return replace(value, affine=value.affine.shifted(numbers))
    return value if not numbers.any() else changed_operand(site, value, 1.0, numbers)


def _scaled(site, value, constant):
    """Return a value with each channel multiplied by a constant."""
    if not isinstance(value, Accumulated | Stored | Operand):
        value = site.stored(
            value,
            "stored activations or the signed result of a convolution or linear layer can be"
            f" multiplied, not {value}",
        )
    numbers = _per_channel(site, value, constant)
    if isinstance(value, Accumulated):
        if value.residual is not None:
            value = site.stored(
                value,
                f"must be before the residual {value.residual.name!r} is added, not behind it: put"
                " a QuantizedIdentity behind it",
            )
            return _scaled(site, value, constant)
        return replace(value, affine=value.affine.scaled(numbers))
    low, high = numbers.aminmax()
    if low != high:  # weights are -1, 0 and 1 and take no factor for each input channel
        operand = Operand.of(value) if isinstance(value, Stored) else value
        return channelwise(site, operand, numbers, torch.zeros_like(numbers))
    return value if low == 1 else changed_operand(site, value, low.item(), None)


def _per_channel(site, value, constant):
    """Return a constant as one number for each channel, float64 (C,)."""
    channels = reshape(site, value).shape[0]
    constant = torch.as_tensor(constant, dtype=torch.float64).detach()
    if constant.dim() == len(site.shape) and len(constant) > 1:
        site.refuse("a constant must be the same for all images")
    rows = constant.broadcast_to((1, *site.shape[1:])).reshape(channels, -1)
    check_numbers(site, rows)
    if not (rows == rows[:, :1]).all():
        site.refuse(f"a constant must be one number for each of the {channels} channels")
    return rows[:, 0]
