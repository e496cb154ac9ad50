"""Finds the scale, bias and shift of a conv whose outputs step exactly where they must.

A conv's output for accumulator A is floor((A + bias) * scale / 2**shift + 1/2), clipped. With a
positive scale it reaches code m at A = ceil((2m - 1) * 2**(shift - 1) / scale) - bias. A channel
that decreases is one of negative accumulators and scale.
"""

from dataclasses import dataclass, field

import numpy as np

MAX_SCALE = 2**15 - 1
MAX_BIAS = 2**31 - 1
MAX_CANDIDATES = 1024
"""How many scales of a channel are tried for each shift."""

SHIFTS = range(24, 0, -1)
"""The shifts, those of finer scales first."""

TYPE_RANGES = {"uint8": (0, 255), "int8": (-128, 127)}


@dataclass(frozen=True, kw_only=True)
class Staircase:
    """The codes that a channel must give: one more from each of its steps on.

    Attributes
    ----------
    negated : bool
        Whether accumulators count downwards.
    low, high : int
        The least and largest accumulator that can occur, negated if they are.
    first : int
        The code before all steps.
    codes : int array, (K,)
        The code that begins at each step, increasing.
    steps : int array, (K,)
        Accumulators, not decreasing, within `low` + 1 to `high`.
    """

    negated: bool
    low: int
    high: int
    first: int
    codes: np.ndarray = field(repr=False)
    steps: np.ndarray = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Rescaling:
    """What follows the accumulators of a layer.

    Attributes
    ----------
    scale, bias : int list
        Of each channel.
    shift : int
        Of the layer.
    """

    scale: list[int]
    bias: list[int]
    shift: int

    @classmethod
    def of(cls, pairs, shift):
        """Return the rescaling of (scale, bias) of each channel."""
        scale, bias = (list(column) for column in zip(*pairs, strict=True))
        return cls(scale=scale, bias=bias, shift=shift)


def fit(stairs, output):
    """Return the rescaling of a layer whose channels climb the stairs exactly, or None.

    Channels without a step are those of an accumulator that is always 0: their weights are none.

    Parameters
    ----------
    stairs : sequence of Staircase
        Of each channel.
    output : {"uint8", "int8"}
        Type of the output.

    Returns
    -------
    (Rescaling or None, int)
        What was found, and the channel that could not be fitted to any shift, or -1.
    """
    pairs, shift, failed = search(
        len(stairs), lambda channel, shift: fit_channel(stairs[channel], output, shift)
    )
    return (Rescaling.of(pairs, shift) if pairs else None), failed


def search(channels, attempt):
    """Return what an attempt finds for each channel of a layer, at one shift of all of them.

    Parameters
    ----------
    channels : int
        Their number.
    attempt : callable
        Takes a channel and a shift, and returns what it finds, or None.

    Returns
    -------
    (list, int, int)
        What was found, the shift, and -1; or an empty list, 0, and a channel that failed.
    """
    order = list(range(channels))
    for shift in SHIFTS:
        found = {}
        for channel in order:
            made = attempt(channel, shift)
            if made is None:
                # It is likely to fail for the next shift, too.
                order.remove(channel)
                order.insert(0, channel)
                break
            found[channel] = made
        else:
            return [found[channel] for channel in range(channels)], shift, -1
    return [], 0, order[0]


def fit_channel(stairs, output, shift, *, clips=True):
    """Return (scale, bias) of a channel that climbs its stairs exactly at a shift, or None.

    Without `clips`, its codes before the first step and after the last one may be any beyond.
    """
    least, most = TYPE_RANGES[output]
    if not len(stairs.steps):
        return constant(stairs.first, shift)
    steps, codes = stairs.steps, stairs.codes
    last = int(codes[-1])
    below = clips and stairs.first > least
    above = clips and last < most
    scales = _candidates(stairs, shift, below, above)
    if not len(scales):
        return None
    column = scales[:, None]
    half = 1 << (shift - 1)
    # Where (A + bias) * scale reaches each code.
    reached = -(-((2 * codes - 1) * half) // column)
    biases = reached - steps
    bias = biases[:, 0]
    good = (biases == bias[:, None]).all(1) & (np.abs(bias) <= MAX_BIAS)
    if below:
        good &= (stairs.low + bias) * scales >= (2 * stairs.first - 1) * half
    if above:
        good &= (stairs.high + bias) * scales < (2 * last + 1) * half
    if not good.any():
        return None
    index = int(good.argmax())
    scale, offset = int(scales[index]), int(bias[index])
    return (-scale, -offset) if stairs.negated else (scale, offset)


def constant(code, shift):
    """Return (scale, bias) that make a code of an accumulator that is always 0."""
    power = min(shift, 14)
    return 1 << power, code << (shift - power)


def _candidates(stairs, shift, below, above):
    """Return scales to try, the largest first, as int64.

    Between them lie all that can do: `run` accumulators, at least and at most, go to a code.
    """
    steps, codes = stairs.steps.astype(np.int64), stairs.codes.astype(np.int64)
    span = int(codes[-1] - codes[0])
    runs = [0.0]
    longest = np.inf
    if span:
        runs.append((int(steps[-1] - steps[0]) - 1) / span)
        longest = (int(steps[-1] - steps[0]) + 1) / span
    if above:
        runs.append(float(stairs.high - steps[-1]))
    if below:
        runs.append(float(steps[0] - 1 - stairs.low))
    shortest = max(runs)
    if shortest >= longest:
        return np.empty(0, np.int64)
    most = MAX_SCALE if shortest <= 0 else min(MAX_SCALE, int(2**shift / shortest) + 1)
    least = max(1, int(2**shift / longest)) if np.isfinite(longest) else 1
    if most < least:
        return np.empty(0, np.int64)
    stride = -(-(most - least + 1) // MAX_CANDIDATES)
    return np.arange(most, least - 1, -stride, dtype=np.int64)
