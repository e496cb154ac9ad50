"""Dividers of the PLLs in iCE40 and ECP5.

Ranges are those of the vendor: iCE40 sysCLOCK PLL Design and Usage Guide (FPGA-TN-02052), ECP5
sysCLOCK PLL/DLL Design and Usage Guide (FPGA-TN-02200).
"""

from dataclasses import dataclass
from typing import TypeVar

from hiddenite.golden.errors import InputError

__all__ = ["ECP5PLL", "ICE40PLL"]

_MHZ = 1e6


@dataclass(frozen=True, kw_only=True)
class ICE40PLL:
    """Dividers of an ``SB_PLL40``, with simple feedback.

    ``input / (divr + 1) * (divf + 1)`` is the VCO's frequency, that divided by ``2 ** divq`` the
    output's.

    Attributes
    ----------
    input_hz : float
    divr, divf, divq : int
    """

    input_hz: float
    divr: int
    divf: int
    divq: int

    @property
    def phase_detector_hz(self) -> float:
        """Frequency that the phase detector compares."""
        return self.input_hz / (self.divr + 1)

    @property
    def vco_hz(self) -> float:
        """Frequency of the oscillator."""
        return self.phase_detector_hz * (self.divf + 1)

    @property
    def output_hz(self) -> float:
        """Frequency of the output."""
        return self.vco_hz / 2**self.divq

    @property
    def filter_range(self) -> int:
        """Parameter ``FILTER_RANGE``, which depends on the phase detector's frequency."""
        limits = (17, 26, 44, 66, 101)
        return 1 + sum(self.phase_detector_hz >= limit * _MHZ for limit in limits)

    @classmethod
    def find(cls, input_hz: float, target_hz: float) -> "ICE40PLL":
        """Dividers for the frequency nearest to the target, which is within 2 % of it.

        Raises
        ------
        InputError
            One of the frequencies is none that the PLL can take or make.
        """
        _check("iCE40", "takes", input_hz, 10, 133)
        _check("iCE40", "makes", target_hz, 16, 275)
        return _nearest(
            [
                cls(input_hz=input_hz, divr=divr, divf=divf, divq=divq)
                for divr in range(16)
                if input_hz / (divr + 1) >= 10 * _MHZ
                for divf in range(128)
                if 533 * _MHZ <= input_hz / (divr + 1) * (divf + 1) <= 1066 * _MHZ
                for divq in range(1, 7)
            ],
            target_hz,
        )


@dataclass(frozen=True, kw_only=True)
class ECP5PLL:
    """Dividers of an ``EHXPLLL`` with its output ``CLKOP`` fed back and its output ``CLKOS`` used.

    ``input / clki_div * clkop_div`` is the VCO's frequency, that divided by ``clkos_div`` the
    output's. The divider ``CLKFB_DIV`` is 1.

    Attributes
    ----------
    input_hz : float
    clki_div, clkop_div, clkos_div : int
    """

    input_hz: float
    clki_div: int
    clkop_div: int
    clkos_div: int

    @property
    def phase_detector_hz(self) -> float:
        """Frequency that the phase detector compares, and that of ``CLKOP``."""
        return self.input_hz / self.clki_div

    @property
    def vco_hz(self) -> float:
        """Frequency of the oscillator."""
        return self.phase_detector_hz * self.clkop_div

    @property
    def output_hz(self) -> float:
        """Frequency of the output."""
        return self.vco_hz / self.clkos_div

    @classmethod
    def find(cls, input_hz: float, target_hz: float) -> "ECP5PLL":
        """Dividers for the frequency nearest to the target, which is within 2 % of it.

        Raises
        ------
        InputError
            One of the frequencies is none that the PLL can take or make.
        """
        _check("ECP5", "takes", input_hz, 8, 400)
        _check("ECP5", "makes", target_hz, 3.125, 400)
        return _nearest(
            [
                cls(input_hz=input_hz, clki_div=clki, clkop_div=clkop, clkos_div=clkos)
                for clki in range(1, 129)
                if input_hz / clki >= 3.125 * _MHZ
                for clkop in range(1, 129)
                if 400 * _MHZ <= (vco := input_hz / clki * clkop) <= 800 * _MHZ
                for clkos in [min(128, max(1, round(vco / target_hz)))]
            ],
            target_hz,
        )


_PLL = TypeVar("_PLL", ICE40PLL, ECP5PLL)


def _nearest(settings: list[_PLL], target_hz: float) -> _PLL:
    # Of two ways to a frequency, the one with the faster phase detector jitters less.
    return min(
        settings, key=lambda pll: (round(abs(pll.output_hz - target_hz)), -pll.phase_detector_hz)
    )


def _check(family: str, verb: str, frequency: float, low: float, high: float) -> None:
    if not low * _MHZ <= frequency <= high * _MHZ:
        raise InputError(
            f"clock: the PLL of {family} {verb} {low:g} to {high:g} MHz, not {frequency / _MHZ:g}"
        )
