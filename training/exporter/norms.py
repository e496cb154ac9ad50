"""What a normalisation is on the hardware, of accumulators and of stored activations."""

from dataclasses import replace

import torch

from hiddenite.training.exporter.rules import check_numbers, finite
from hiddenite.training.exporter.values import (
    Accumulated,
    Affine,
    Averaged,
    Operand,
    Stored,
    Summed,
)
from hiddenite.training.layers.coded import CodedConv2d
from hiddenite.training.layers.weights import MAX_INDEX, HiddenWeights

_ROUND = "put a QuantizedIdentity behind it"


def norm(site, module, value):
    """A batch normalisation."""
    if isinstance(value, Averaged | Summed):
        value = site.stored(value, f"must normalise 8-bit activations, not {value}: {_ROUND}")
    if isinstance(value, Accumulated) and value.residual is not None:
        value = site.stored(
            value,
            f"must be before the residual {value.residual.name!r} is added, not behind it:"
            f" {_ROUND}",
        )
    if module.running_mean is None:
        site.refuse("must track running statistics, not normalise by those of a batch")
    if module.num_features != value.shape[0]:
        site.refuse(
            f"must have the {value.shape[0]} channels of {value}, not {module.num_features}"
        )
    if isinstance(value, Accumulated):
        return replace(value, affine=finite(site, value.affine.normalised(module)))
    slope, level = _affine_numbers(module)
    if value.shape[0] > 1:  # training makes the factors of channels differ
        operand = Operand.of(value) if isinstance(value, Stored) else value
        return channelwise(site, operand, slope, level)
    # All weights of the convolution behind it have the same factor. Training moves its zero.
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


def channelwise(site, operand, factor, offset):
    """Return stored activations times a factor for each channel, plus an offset, as a convolution.

    It has one weight for each channel, which is kept: its sign goes into the channel's scale.

    Parameters
    ----------
    site : Site
        What makes it.
    operand : Operand
        The activations, and what is done to them before that.
    factor, offset : float64 tensor, (C,)
    """
    if any(operand.padding):
        site.refuse(f"must not change {operand} for each channel: pad behind that")
    channels = operand.shape[0]
    weights = HiddenWeights((channels, 1, 1, 1), index=MAX_INDEX, seed=site.seed, density=1.0)
    with torch.no_grad():
        weights.scores.fill_(1.0)
    conv = CodedConv2d(weights, groups=channels).requires_grad_(False)
    signs = weights().detach().double().flatten()
    slope = factor * operand.factor * signs / weights.gain
    level = offset if operand.offset is None else operand.offset * factor + offset
    low, high = (number * operand.input.step * weights.gain for number in operand.input.range)
    zeros = torch.zeros(channels, dtype=torch.float64)
    affine = Affine(
        slope, zeros, level, torch.where(signs > 0, low, -high), torch.where(signs > 0, high, -low)
    )
    source = Operand.of(operand.input)
    shape = operand.input.shape
    affine = finite(site, affine)
    return Accumulated(site.name, conv, source, (0, 0), shape, affine, is_channelwise=True)
