import pytest

from hiddenite.boards.boards import BOARDS, find_board, part_of
from hiddenite.boards.build import check_memories, family_of
from hiddenite.boards.clock import ClockPlan
from hiddenite.golden.errors import InputError
from hiddenite.link.board_link import LinkParameters
from hiddenite.synthesis.parts import PARTS

ALL = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


@ALL
def test_part_is_that_of_the_platform(board):
    assert part_of(board.platform) is PARTS[board.part]
    assert part_of(board.platform).family == family_of(board.platform)


@ALL
def test_memories_of_the_default_configuration_fit(board):
    check_memories(PARTS[board.part], board.configuration)


@ALL
def test_link_can_have_its_clock_and_baud_rate(board):
    clock = ClockPlan.find(board.platform(), board.clock_hz, board.resources.clock)
    assert abs(clock.frequency_hz / board.clock_hz - 1) < 0.02
    parameters = LinkParameters(
        configuration=board.configuration,
        clock_hz=round(clock.frequency_hz),
        baud=board.baud,
        name=board.name,
        flash_base=board.flash_base,
    )
    assert parameters.sources


# Bytes of a bitstream without compression, from the vendors' data sheets; those of ECP5 are
# made with it.
BITSTREAMS = {"up5k": 104_161, "hx8k": 135_180, "ecp5-25f": 582_376, "ecp5-85f": 1_959_616}


@ALL
def test_networks_lie_behind_the_bitstream(board):
    room = board.flash_base - board.bitstream_base
    if board.name == "orangecrab":
        # Only a compressed one fits; its size is checked when it is built.
        assert (board.bitstream_base, room) == (0x80000, 0x80000)
    else:
        assert room > BITSTREAMS[board.part]


def test_unknown_board():
    with pytest.raises(InputError) as raised:
        find_board("icestick")
    assert str(raised.value) == (
        "board must be one of icebreaker, hx8k, ulx3s-25f, ulx3s-85f, ecpix5-85f, orangecrab,"
        " not 'icestick'"
    )
