import re

import pytest

from hiddenite.boards import top as module
from hiddenite.boards.boards import BOARDS
from hiddenite.boards.project import Project
from hiddenite.boards.simulation import board_verilog, simulated
from hiddenite.golden.errors import InputError

ENGINE = "module hiddenite; endmodule\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No real engine, which takes seconds."""
    monkeypatch.setattr(module, "generate", lambda c: ENGINE)


def build(project):
    platform = project.platform()
    return platform.build(project.top(platform), do_build=False, emit_src=False).files


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_board(board):
    files = build(Project.of_board(board))
    text = files["top.il"]
    assert files["hiddenite.v"] == ENGINE and "cell \\hiddenite " in text
    constraints = files.get("top.pcf") or files["top.lpf"]
    # The flash's clock is a pin of iCE40 and a cell of ECP5.
    is_ice40 = board.part in ("up5k", "hx8k")
    assert ("USRMCLK" in text) is not is_ice40
    assert bool(re.search(r"spi_flash\w*__clk__io", constraints)) is is_ice40
    used = re.findall(r'(?:set_io |LOCATE COMP ")([a-z][\w[\]]+)', constraints)
    assert len(used) == len(set(used))
    lines = 2 if board.name == "hx8k" else 4
    for what in ("uart_0__rx", "uart_0__tx", "cs__io", *(f"dq__io[{n}]" for n in range(lines))):
        assert any(what in name for name in used), what
    leds = [name for name in used if "led" in name]
    assert len(leds) == len(board.resources.leds)


def test_separate_lines_of_a_flash():
    """WP# and HOLD# are driven where they are no data lines."""
    project = Project.of_board(BOARDS["icebreaker"]).with_resources(flash="spi_flash_1x")
    assert project.plan(project.platform())[1].flash_lines == 1
    constraints = build(project)["top.pcf"]
    for name, pin in (("copi", 14), ("cipo", 17), ("wp", 12), ("hold", 13)):
        assert f"set_io spi_flash_1x_0__{name}__io {pin}" in constraints


def test_wiring_of_the_ulx3s_flash():
    constraints = build(Project.of_board(BOARDS["ulx3s-25f"]))["top.lpf"]
    for port, site in (("cs", "R2"), ("dq__io[0]", "W2"), ("dq__io[1]", "V2")):
        port = port if "[" in port else f"{port}__io"
        assert f'LOCATE COMP "spi_flash_4x_0__{port}" SITE "{site}";' in constraints
    for n, site in ((2, "Y2"), (3, "W1")):
        assert f'LOCATE COMP "spi_flash_4x_0__dq__io[{n}]" SITE "{site}";' in constraints


def test_wiring_of_orangecrab():
    constraints = build(Project.of_board(BOARDS["orangecrab"]))["top.lpf"]
    for port, site in (("uart_0__rx__io", "N17"), ("uart_0__tx__io", "M18"), ("led_0__io", "C8")):
        assert f'LOCATE COMP "{port}" SITE "{site}";' in constraints


def test_uart_on_two_pins():
    project = Project.of_board(BOARDS["hx8k"]).with_resources(uart="R16,T15")
    constraints = build(project)["top.pcf"]
    assert "set_io uart_pins_0__rx__io R16" in constraints
    assert "set_io uart_pins_0__tx__io T15" in constraints


@pytest.mark.parametrize(
    ("board", "changes", "message"),
    [
        ("hx8k", {"leds": ("led:9",)}, "led: the board has no 'led:9', but clk12, led:0/1/2"),
        ("hx8k", {"uart": "serial"}, "uart: the board has no 'serial', but"),
        ("hx8k", {"button": "led:1"}, "button: must be one input pin, which 'led:1' is not"),
        (
            "hx8k",
            {"flash": "uart"},
            "flash: must be a resource with cs, dq or cs, copi, cipo, not 'uart' with rx, tx",
        ),
        ("ulx3s-25f", {"clock": "uart"}, "clock: the platform does not say the frequency"),
    ],
)
def test_refused_resources(board, changes, message):
    with pytest.raises(InputError) as raised:
        build(Project.of_board(BOARDS[board]).with_resources(**changes))
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("board", "ports"),
    [
        (
            "hx8k",
            {"clk", "uart_0__rx__io", "spi_flash_2x_0__clk__io", "led_5__io"}
            | {f"spi_flash_2x_0__dq_{n}__{kind}" for n in range(2) for kind in ("i", "o", "oe")},
        ),
        (
            "ulx3s-85f",
            {"clk", "uart_0__rx__io", "spi_flash_clk", "button_fire_0__io"}
            | {f"spi_flash_4x_0__dq_{n}__{kind}" for n in range(4) for kind in ("i", "o", "oe")},
        ),
    ],
)
def test_simulation_has_the_pins_and_no_vendor_cells(board, ports):
    project = Project.of_board(BOARDS[board])
    platform = simulated(project.platform)
    text = board_verilog(project.top(platform), platform)
    assert text.startswith(ENGINE)
    header = re.search(r"^module top\((.*?)\);", text, re.M | re.S)[1]
    assert ports <= set(re.findall(r"\w+", header))
    assert not re.search(r"SB_|EHXPLLL|USRMCLK|\bBB\b|OBZ", text)
