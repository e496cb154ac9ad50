import shutil
from functools import cache
from pathlib import Path

import pytest

from hiddenite.sim.simulation import Simulation


def stand_in(word_bits: int, lanes: int) -> str:
    text = Path(__file__).with_name("stand_in.v").read_text()
    return f"`define WORD {word_bits}\n`define LANES {lanes}\n{text}"


@cache
def _simulation(simulator: str, word_bits: int, lanes: int) -> Simulation:
    return Simulation(
        stand_in(word_bits, lanes), word_bits=word_bits, lanes=lanes, simulator=simulator
    )


needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed"
)


@pytest.fixture(params=["verilator", pytest.param("icarus", marks=needs_icarus)])
def simulator(request):
    return request.param


@pytest.fixture
def simulate():
    """The stand-in under (simulator, word_bits, lanes), built once."""
    return _simulation


@pytest.fixture
def icarus_only():
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed")


@pytest.fixture
def verilog():
    """Text of the stand-in for (word_bits, lanes)."""
    return stand_in
