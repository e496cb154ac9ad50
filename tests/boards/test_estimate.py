from dataclasses import replace

import pytest

from hiddenite.benchmarks.rates import cycles_alone, cycles_with_host
from hiddenite.boards.estimate import default_source, estimate_board
from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.golden.errors import InputError
from hiddenite.link.board_link import LinkParameters
from hiddenite.rtl.configuration import PRESETS

SINGLE = replace(PRESETS["tiny"], post_lanes=1, timeout_cycles=1 << 20)


def parameters(**fields):
    return LinkParameters(
        configuration=SINGLE, clock_hz=24_000_000, name="board", flash_base=0x1000, **fields
    )


ONE_LINE = pytest.mark.exhaustive("it is four lines, four times as long")


@pytest.mark.parametrize("lines", [pytest.param(1, marks=ONE_LINE), 4])
def test_from_the_flash(digits, lines):
    """Within 5 % of the simulated board."""
    link = parameters(flash_lines=lines)
    program = compile_network(digits[0], SINGLE)
    found = estimate_board(program, link, "flash")
    assert found.cycles == pytest.approx(cycles_alone(digits[0], link), rel=0.05)
    assert found.engine_cycles == estimate(program).cycles
    assert found.bound == "flash"
    assert found.images_per_second == 24e6 / found.cycles


def test_from_block_ram(digits):
    program = compile_network(digits[0], SINGLE)
    link = parameters(flash_lines=4, program=program.bytes)
    found = estimate_board(program, link, "baked")
    assert found.cycles == pytest.approx(cycles_alone(digits[0], link), rel=0.05)
    assert found.bound == "engine"


def test_from_a_host(digits):
    link = parameters()
    found = estimate_board(compile_network(digits[0], SINGLE), link, "uart")
    taken = cycles_with_host(digits[0], link, from_flash=False)
    assert found.cycles == pytest.approx(taken, rel=0.05)
    assert found.bound == "UART"


@pytest.mark.parametrize("source", ["flash", "baked"])
def test_without_a_flash(digits, source):
    link = LinkParameters(configuration=SINGLE, clock_hz=24_000_000, name="board")
    with pytest.raises(InputError) as raised:
        estimate_board(compile_network(digits[0], SINGLE), link, source)
    assert str(raised.value) == (f"source: {source} needs a flash, which the board does not have")


@pytest.mark.parametrize("source", ["flash", "baked"])
def test_of_a_board_that_does_not_run_alone(digits, source):
    c = PRESETS["tiny"]
    link = LinkParameters(configuration=c, clock_hz=24_000_000, name="board", flash_base=0x1000)
    with pytest.raises(InputError) as raised:
        estimate_board(compile_network(digits[0], c), link, source)
    assert default_source(link) == "uart" and default_source(parameters()) == "flash"
    assert str(raised.value) == f"source: {source} needs a configuration with post_lanes 1, not 2"
