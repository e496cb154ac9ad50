"""Chooses the integers of a layer: scales, biases, shifts, and the unit of the result."""

import math
from dataclasses import dataclass

import torch

from hiddenite.golden.errors import InputError
from hiddenite.golden.layers import (
    MAX_ADD_SCALE,
    MAX_POOL_SCALE,
    MAX_RESIDUAL_SCALE,
    MAX_SHIFT,
)
from hiddenite.training.layers.activation import HIGHEST, LEVELS, LOWEST

MAX_SCALE = 32_767
"""The largest scale of a channel; the smallest is its negative."""

MAX_BIAS = 2**30
"""The largest bias of a channel; the smallest is its negative. Exact in float32, as 2**31 - 1 is
not."""

START = 30_000
"""The largest scale of a convolution at first, so that training can still raise it."""

_RESULT_START = 2**14
"""The same of the last layer. A power of two: where all channels have one scale, shifting by it
loses nothing."""

_RESULT_LIMIT = 2**20
"""What results do not exceed at first if units can be finer than those of accumulators: in float32
the next number is then at most 1/16 away."""

_MAX_RESULT = 2**30
"""What results do not exceed at first in any case."""


@dataclass(frozen=True, eq=False)
class ConvIntegers:
    """Numbers of a convolution on the hardware, those of the channels not yet rounded.

    Attributes
    ----------
    scale, bias : float64 tensor, (O,)
        As in a network file.
    alive : float64 tensor, (O,)
        1, or 0 for a channel whose accumulator does not count: its scale would be 0, or its bias
        too large. It has a constant result, and no weights.
    shift : int
        1 to 24.
    residual_scale : int or None
        As in a network file.
    step : float
        What a unit of the result stands for.
    """

    scale: torch.Tensor
    bias: torch.Tensor
    alive: torch.Tensor
    shift: int
    residual_scale: int | None
    step: float


def conv_integers(plan):
    """Choose the numbers of a convolution.

    Parameters
    ----------
    plan : ConvPlan
        The convolution.

    Returns
    -------
    ConvIntegers

    Raises
    ------
    InputError
        No numbers of the network file's ranges do.
    """
    value = plan.value
    affine = value.affine
    codes = value.conv.weights().detach().double().flatten(1).abs()
    unit = _accumulator_unit(value)
    slope, centre = conv_units(plan)
    # Without a measured one: that of accumulators over activations of about 64 units.
    guess = 64 * codes.square().sum(1).sqrt()
    spread = guess if affine.spread is None else affine.spread / unit.abs()
    reach = torch.maximum((affine.high / unit - centre).abs(), (affine.low / unit - centre).abs())
    residual_step = 0.0 if value.residual is None else value.residual.step
    if plan.step is None:
        total = LEVELS * codes.sum(1) + centre.abs()
        step, shift = _result_step(plan.name, slope, total, affine.level, residual_step)
    else:
        step = plan.step
        shift = _choose_shift(plan.name, slope / step, spread, reach, residual_step / step)
    scale = (slope / step * 2.0**shift).clamp(-START, START)
    whole = scale.round()
    level = affine.level / step * 2.0**shift
    bias = level / torch.where(whole == 0, 1.0, whole) - centre
    constant = (whole == 0) | (bias.abs() > MAX_BIAS)
    constant_scale = 2.0 ** min(8, shift)
    scale = torch.where(constant, constant_scale, scale)
    bias = torch.where(constant, level / constant_scale, bias).clamp(-MAX_BIAS, MAX_BIAS)
    residual_scale = None
    if value.residual is not None:
        residual_scale = round(residual_step / step * 2**shift)
    return ConvIntegers(scale, bias, (~constant).double(), shift, residual_scale, step)


def conv_units(plan):
    """Return, for each channel, what is done to accumulators, before any rounding.

    Parameters
    ----------
    plan : ConvPlan
        The convolution.

    Returns
    -------
    slope : float64 tensor, (O,)
        What a unit of the accumulator stands for.
    centre : float64 tensor, (O,)
        The accumulator at which the result is the level of the plan's `Affine`.
    """
    unit = _accumulator_unit(plan.value)
    return plan.value.affine.slope * unit, plan.value.affine.centre / unit


def _accumulator_unit(value):
    """Return what a unit of each channel's accumulator stands for, before normalisations."""
    gain = torch.as_tensor(value.conv.weights.gain, dtype=torch.float64)
    unit = gain * value.operand.input.step * value.operand.factor
    return unit.expand(value.conv.out_channels)


def _choose_shift(name, slope, spread, reach, ratio):
    """Return the shift with which scales and the residual's scale are most exact.

    Parameters
    ----------
    name : str
        Of the layer.
    slope : float64 tensor, (O,)
        Units of the output for each unit of the accumulator.
    spread : float64 tensor, (O,)
        Standard deviation of the accumulators. Where it is nearly 0, as in a channel that sees no
        activations, a slope may be cut for the sake of the others, but for `reach`.
    reach : float64 tensor, (O,)
        How far from their mean accumulators come in the example; at least 4 standard deviations
        where the example has many. Of a large slope, only what does not saturate the output counts.
    ratio : float
        Units of the output for each unit of the residual, 0 if there is none.
    """
    largest, channel = slope.abs().max(0)
    if largest * 2 > MAX_SCALE:
        raise InputError(
            f"layer {name!r}: channel {channel} must make at most {MAX_SCALE // 2} steps of output"
            f" of one unit of its accumulator, not {largest:g}: raise the activation's step"
        )
    spread = torch.maximum(spread, torch.minimum(reach / 4, LEVELS / slope.abs()))
    errors = {}
    for shift in range(1, MAX_SHIFT + 1):
        residual_scale = round(ratio * 2**shift)
        if residual_scale > MAX_RESIDUAL_SCALE:
            break
        whole = (slope * 2.0**shift).clamp(-START, START).round()
        error = ((whole / 2.0**shift - slope) * spread).square().sum().item()
        errors[shift] = error + len(slope) * (64 * (residual_scale / 2**shift - ratio)) ** 2
    if not errors:
        raise InputError(
            f"layer {name!r}: step of the residual must be at most {MAX_RESIDUAL_SCALE / 2:g} times"
            f" that of the output, not {ratio:g} times"
        )
    return min(errors, key=lambda shift: (errors[shift], -shift))


def _result_step(name, slope, total, level, residual_step):
    """Return the unit of a 32-bit result, and the shift.

    Parameters
    ----------
    name : str
        Of the layer.
    slope : float64 tensor, (O,)
        What a unit of the accumulator stands for.
    total : float64 tensor, (O,)
        The largest sum of accumulator and bias, less the level.
    level : float64 tensor, (O,)
        What the bias adds.
    residual_step : float
        What a unit of the residual stands for, 0 if there is none.
    """
    largest = slope.abs().max().item() or level.abs().max().item() or 1.0
    start = _RESULT_START
    while residual_step * start > MAX_RESIDUAL_SCALE * largest:
        start //= 2
    if not start:
        raise InputError(
            f"layer {name!r}: step of the residual must be at most {MAX_RESIDUAL_SCALE:g} times"
            f" what a unit of the accumulator stands for, not {residual_step / largest:g} times"
        )
    most = (slope.abs() * total + level.abs()).max().item() + LEVELS * residual_step
    most = max(most * start / largest, 1.0)
    wanted, least = (math.ceil(math.log2(most / limit)) for limit in (_RESULT_LIMIT, _MAX_RESULT))
    shift = min(max(1, least, min(wanted, start.bit_length() - 1)), MAX_SHIFT)
    return largest / start * 2.0**shift, shift


def average_integers(name, ratio, area, signed=False):
    """Choose scale and shift of an average pooling.

    Parameters
    ----------
    name : str
        Of the layer.
    ratio : float
        Units of the output for each unit of the input.
    area : int
        Pixels of the kernel.
    signed : bool
        Whether activations have a sign.

    Returns
    -------
    (int, int)
        The pair with which the fewest sums are rounded in another way than the exact average.

    Raises
    ------
    InputError
        No pair is nearly right.
    """
    factor = ratio / area
    if not 2.0**-MAX_SHIFT / 2 <= factor <= MAX_POOL_SCALE / 2:
        raise InputError(
            f"layer {name!r}: steps and kernel must make a factor from 2^-{MAX_SHIFT + 1} to"
            f" {MAX_POOL_SCALE / 2:g}, not {factor:g}"
        )
    low, high = (LOWEST, HIGHEST) if signed else (0, LEVELS)
    # Of large kernels, only some.
    sums = torch.arange(low * area, high * area + 1, 1 + area // 2**13)
    if ratio == 1:
        exact = (2 * sums + area) // (2 * area)
    else:
        exact = (sums * factor + 0.5).floor().clamp(low, high).long()
    wrong: dict[tuple[int, int], int] = {}
    for shift in range(MAX_SHIFT, 0, -1):
        for scale in (math.ceil(factor * 2**shift), math.floor(factor * 2**shift)):
            if 1 <= scale <= MAX_POOL_SCALE and len(wrong) < 8:
                output = (sums * scale + (1 << (shift - 1))) >> shift
                wrong[scale, shift] = (output.clamp(low, high) != exact).sum().item()
    return min(wrong, key=wrong.__getitem__)


def add_integers(name, ratio, residual_ratio):
    """Choose the numbers of a sum of two tensors.

    Parameters
    ----------
    name : str
        Of the layer.
    ratio, residual_ratio : float
        Units of the output for each unit of the input, and of the residual.

    Returns
    -------
    (int, int, int)
        Scale, residual's scale and shift, with which both ratios are most exact.

    Raises
    ------
    InputError
        No numbers of the network file's ranges do.
    """
    errors = {}
    for shift in range(1, MAX_SHIFT + 1):
        scale, residual_scale = round(ratio * 2**shift), round(residual_ratio * 2**shift)
        if 1 <= scale <= MAX_ADD_SCALE and residual_scale <= MAX_RESIDUAL_SCALE:
            error = abs(scale / 2**shift - ratio) + abs(residual_scale / 2**shift - residual_ratio)
            errors[error, shift] = scale, residual_scale, shift
    if not errors:
        raise InputError(
            f"layer {name!r}: steps of what is added must be 2^-{MAX_SHIFT + 1} to"
            f" {MAX_ADD_SCALE / 2:g} times that of the sum, not {ratio:g} and {residual_ratio:g}"
            " times"
        )
    return errors[min(errors)]
