import numpy as np
import pytest

from hiddenite.golden.rounding import shifted
from hiddenite.importer.fitting import SHIFTS, Staircase, constant, fit, fit_channel


def stairs(steps, *, first=0, low=-100, high=100, negated=False):
    steps = np.array(steps, np.int64)
    codes = first + 1 + np.arange(len(steps))
    return Staircase(negated=negated, low=low, high=high, first=first, codes=codes, steps=steps)


def climbed(stair, pair, shift, output):
    """Whether a scale and a bias give the codes of all accumulators."""
    scale, bias = pair
    a = np.arange(stair.low, stair.high + 1)
    expected = stair.first + np.searchsorted(stair.steps, a, side="right")
    a = -a if stair.negated else a
    return (shifted((a + bias) * scale, shift, output) == expected).all()


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("step", [-99, -3, 0, 1, 57, 100])
def test_one_step_anywhere(step, negated):
    stair = stairs([step], negated=negated)
    rescaling, failed = fit([stair], "uint8")
    assert failed == -1
    pair = rescaling.scale[0], rescaling.bias[0]
    assert climbed(stair, pair, rescaling.shift, "uint8")


def test_long_ranges():
    stair = stairs([5], low=-(10**6), high=10**6)
    rescaling, _ = fit([stair], "uint8")
    assert climbed(stair, (rescaling.scale[0], rescaling.bias[0]), rescaling.shift, "uint8")


def test_all_steps_of_random_lines():
    """Every staircase that one scale, bias and shift make is found again."""
    rng = np.random.default_rng(3)
    for _ in range(100):
        shift = int(rng.integers(8, 25))
        scale, bias = int(rng.integers(1, 2**15)), int(rng.integers(-50, 50))
        a = np.arange(-200, 201)
        codes = shifted((a + bias) * scale, shift, "int8")
        steps = np.repeat(a[1:], np.diff(codes))
        stair = stairs(steps, first=int(codes[0]), low=-200, high=200)
        assert any(
            (pair := fit_channel(stair, "int8", each)) and climbed(stair, pair, each, "int8")
            for each in SHIFTS
        )


def test_what_no_scale_does():
    rescaling, failed = fit([stairs([0]), stairs([0, 1, 50, 51])], "uint8")
    assert rescaling is None and failed == 1


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("code", [-128, -1, 0, 1, 127])
def test_constants(code, shift):
    scale, bias = constant(code, shift)
    assert scale < 2**15 and abs(bias) < 2**31
    assert shifted(np.array([bias * scale]), shift, "int8") == code
