import io

import numpy as np
import pytest
from rich.console import Console

from hiddenite.cli import display


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand more", "two lines and more"),
        ("red \x1b[31m", "red \\x1b[31m"),
        ("byte \udcff", "byte \\udcff"),
        ("größer 手", "größer 手"),
        (7, "7"),
    ],
)
def test_clean(text, shown):
    assert display.clean(text) == shown


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (5e9, "5000.0 MB"),
    ],
)
def test_size(size, text):
    assert display.files_size(size) == text


def test_table_takes_text_as_it_is(capsys):
    display.table(["[a]", "b"], [["[red]x[/red]", 1], ["é" * 100, 22]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[a]") and lines[2].startswith("[red]x[/red]")
    assert lines[3] == "é" * 100 + "   22"


def test_pictures(capsys):
    images = np.array([[[0, 255], [128, 60]], [[0, 0], [0, 255]]], np.uint8)
    display.pictures(images, ["one", "two"])
    assert capsys.readouterr().out == "  ██       \n▒▒░░     ██\none    two \n"


def test_pictures_in_ascii(monkeypatch, capsys):
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(display, "console", lambda: Console(file=file, width=80))
    display.pictures(np.array([[[0, 1]]], np.uint8), ["one"])
    file.flush()
    assert file.buffer.getvalue() == b"  ##\none \n"


def test_black_pictures(capsys):
    display.pictures(np.zeros((1, 1, 1), np.uint8), ["1"])
    assert capsys.readouterr().out == "  \n1 \n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_steps_show_nothing_without_a_terminal(capsys):
    with display.Steps() as steps:
        steps("work", 0, 2)
        steps("work", 2, 2)
    assert capsys.readouterr() == ("", "")


def test_steps_on_a_terminal(monkeypatch):
    terminal, finished = Terminal(), []
    monkeypatch.setattr(
        display,
        "console",
        lambda error: Console(file=terminal, force_terminal=True, width=80),
    )
    with display.Steps(lambda step, seconds: finished.append((step, seconds))) as steps:
        steps("one thing", 0, 1)
        steps("one thing", 1, 1)
        steps("many [things]", 0, 3)
        steps("many [things]", 2, 3)
        steps("many [things]", 3, 3)
        steps("of unknown length", 0, None)
        steps("of unknown length", 7, None)
        steps("broken off", 0, 9, "and how [it] goes")
        steps("broken off", 1, 9, "and how [it] goes")
    shown = terminal.getvalue()
    for text in ("one thing", "many [things]", "3/3", "7/?", "broken off", "and how [it] goes"):
        assert text in shown
    assert [step for step, _ in finished] == ["one thing", "many [things]"]
    assert all(seconds >= 0 for _, seconds in finished)
