import pytest

from hiddenite.boards.pll import ECP5PLL, ICE40PLL
from hiddenite.golden.errors import InputError

MHZ = 1e6


@pytest.mark.parametrize("input_mhz", [10, 12, 16, 19.99, 25, 48, 100, 133])
def test_ice40_reaches_every_clock(input_mhz):
    for target in range(16, 276, 3):
        pll = ICE40PLL.find(input_mhz * MHZ, target * MHZ)
        assert 0 <= pll.divr <= 15 and 0 <= pll.divf <= 127 and 1 <= pll.divq <= 6
        assert 10 * MHZ <= pll.phase_detector_hz <= 133 * MHZ
        assert 533 * MHZ <= pll.vco_hz <= 1066 * MHZ
        assert abs(pll.output_hz / MHZ / target - 1) <= 0.02


@pytest.mark.parametrize("input_mhz", [8, 9.3, 12, 25, 48, 100, 400])
def test_ecp5_reaches_every_clock(input_mhz):
    for target in (3.125, *range(4, 400, 9), 400):
        pll = ECP5PLL.find(input_mhz * MHZ, target * MHZ)
        assert all(1 <= div <= 128 for div in (pll.clki_div, pll.clkop_div, pll.clkos_div))
        assert 3.125 * MHZ <= pll.phase_detector_hz <= 400 * MHZ
        assert 400 * MHZ <= pll.vco_hz <= 800 * MHZ
        assert abs(pll.output_hz / MHZ / target - 1) <= 0.02


def test_known_settings():
    # What icepll gives for 12 MHz in, 48 MHz out.
    pll = ICE40PLL.find(12 * MHZ, 48 * MHZ)
    assert (pll.divr, pll.divf, pll.divq, pll.filter_range) == (0, 63, 4, 1)
    assert pll.output_hz == 48 * MHZ
    assert ECP5PLL.find(25 * MHZ, 50 * MHZ).output_hz == 50 * MHZ
    assert ECP5PLL.find(100 * MHZ, 62.5 * MHZ).output_hz == 62.5 * MHZ


@pytest.mark.parametrize(
    ("reference", "filter_range"), [(10, 1), (17, 2), (26, 3), (50, 4), (100, 5), (133, 6)]
)
def test_filter_range(reference, filter_range):
    assert ICE40PLL(input_hz=reference * MHZ, divr=0, divf=9, divq=2).filter_range == filter_range


@pytest.mark.parametrize(
    ("pll", "input_mhz", "target_mhz", "message"),
    [
        (ICE40PLL, 12, 300, "clock: the PLL of iCE40 makes 16 to 275 MHz, not 300"),
        (ICE40PLL, 8, 24, "clock: the PLL of iCE40 takes 10 to 133 MHz, not 8"),
        (ECP5PLL, 25, 1, "clock: the PLL of ECP5 makes 3.125 to 400 MHz, not 1"),
        (ECP5PLL, 5, 50, "clock: the PLL of ECP5 takes 8 to 400 MHz, not 5"),
    ],
)
def test_impossible_frequencies(pll, input_mhz, target_mhz, message):
    with pytest.raises(InputError) as raised:
        pll.find(input_mhz * MHZ, target_mhz * MHZ)
    assert str(raised.value) == message
