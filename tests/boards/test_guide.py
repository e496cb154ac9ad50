"""What docs/boards.md says of boards."""

import re
from pathlib import Path

from hiddenite.boards.boards import BOARDS, part_of
from hiddenite.cli.build import build
from hiddenite.cli.flash import flash

GUIDE = (Path(__file__).parents[2] / "docs" / "boards.md").read_text()


def test_table_is_that_of_the_boards():
    rows = [row.strip("| ").split(" | ") for row in GUIDE.splitlines() if row.startswith("| `")]
    assert rows == [
        [
            f"`{board.name}`",
            board.title,
            part_of(board.platform).name,
            f"`{board.configuration_name}`",
            f"{board.clock_hz / 1e6:g} MHz",
            f"{board.flash_base:#x}",
        ]
        for board in BOARDS.values()
    ]


def test_platform_is_the_one_that_is_built():
    own = Path(__file__).with_name("own_board.py").read_text()
    (code,) = re.findall(r"```python\n(from .*?)```", GUIDE, re.S)
    assert own.endswith(code)


def test_options_are_there():
    for line in re.findall(r"^hiddenite (?:build|flash) .*?$", GUIDE, re.M):
        words = line.partition("#")[0].split()
        command = {"build": build, "flash": flash}[words[1]]
        known = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("-")} <= known


def test_wiring_of_orangecrab():
    platform = BOARDS["orangecrab"].platform()
    connector = platform.connectors["io", 0].mapping
    for name, pin in (("0", "N17"), ("1", "M18"), ("9", "C8"), ("10", "B8"), ("12", "H2")):
        assert connector[name] == pin
