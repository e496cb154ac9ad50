"""The code of docs/host.md does what it says, on a model of a board."""

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from board_lines import PtyBoard
from board_model import BoardModel

from hiddenite.cli.main import cli
from hiddenite.compiler.compile import compile_network
from hiddenite.host import board as board_module
from hiddenite.host import connection, session
from hiddenite.rtl.configuration import PRESETS

TINY = PRESETS["tiny"]
GUIDE = (Path(__file__).parents[2] / "docs" / "host.md").read_text(encoding="utf-8")


def block(language):
    return re.search(rf"```{language}\n(.*?)```", GUIDE, re.S)[1]


def test_commands(digits, tmp_path, monkeypatch, capsys):
    network, images, expected = digits
    monkeypatch.chdir(tmp_path)
    network.save("NETWORK")
    np.save("IMAGES.npy", images)
    np.save("LABELS.npy", expected[:, 0, 0].argmax(-1))
    commands = [line.split()[1:] for line in block("sh").splitlines()]
    assert len(commands) == 2
    for command in commands:
        with PtyBoard(BoardModel(network, TINY)) as pty:
            arguments = [pty.port if word == "/dev/ttyUSB0" else word for word in command]
            assert cli.main(arguments, standalone_mode=False) == 0
    out = capsys.readouterr().out
    assert "bit-exact" in out and "6 of 6 classes are right" in out
    np.testing.assert_array_equal(np.load("RESULT.npy"), expected)


def test_python(digits, tmp_path, monkeypatch, capsys):
    network, images, expected = digits
    monkeypatch.chdir(tmp_path)
    network.save("digits.safetensors")
    np.save("images.npy", images)
    names = {}
    with PtyBoard(BoardModel(network, TINY)) as pty:
        exec(block("python").replace("/dev/ttyUSB0", pty.port), names)  # the guide's own lines
    np.testing.assert_array_equal(names["result"], expected)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model 12000000" and lines[1:7] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_c(digits, tmp_path):
    network, images, expected = digits
    program = compile_network(network, TINY).bytes
    with resources.as_file(resources.files("hiddenite.host") / "c") as folder:
        example = (folder / "example.c").read_text()
        callbacks = example[: example.index("static int read_program")]
        given = ", ".join(map(str, program)), ", ".join(map(str, images[0].reshape(-1)))
        main = f"""
static const uint8_t bytes[] = {{{given[0]}}}, pixels[] = {{{given[1]}}};
int main(int argc, char **argv) {{
    int port = argc == 2 ? open_port(argv[1]) : -1;
    struct hiddenite_port uart = {{&port, port_write, port_read, clock_ms, 1000000}};
    struct hiddenite_program program = {{bytes, sizeof bytes, NULL, NULL}};
    return classify(&uart, &program, pixels) + 100;
}}"""
        (tmp_path / "guide.c").write_text(callbacks + block("c") + main)
        options = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{folder}"]
        files = [str(tmp_path / "guide.c"), str(folder / "hiddenite.c")]
        subprocess.run(["gcc", *options, "-o", str(tmp_path / "guide"), *files], check=True)
    with PtyBoard(BoardModel(network, TINY)) as pty:
        ran = subprocess.run([tmp_path / "guide", pty.port], timeout=60, check=False)
    assert ran.returncode == 100 + expected[0, 0, 0].argmax()


def test_the_table_of_errors_is_complete():
    rows = re.findall(r"^\| ([a-z].*?) \| (.*?) \| .* \|$", GUIDE, re.M)
    with resources.as_file(resources.files("hiddenite.host") / "c") as folder:
        header = (folder / "hiddenite.h").read_text()
    body = re.search(r"enum hiddenite_error \{(.*?)\};", header, re.S)[1]
    codes = set(re.findall(r"HIDDENITE_(\w+)", re.sub(r"/\*.*?\*/", "", body, flags=re.S)))
    assert {code.strip("`") for _, code in rows} - {""} == codes - {"OK", "ARGUMENT", "LINE"}
    modules = (board_module, connection, session)
    source = "".join(Path(module.__file__).read_text() for module in modules)
    source += (Path(board_module.__file__).parent / "transport.py").read_text()
    for text, _ in rows:
        first = text.removesuffix(" ...")
        if "has not answered" in first or "has made no progress" in first:
            first = first.removeprefix("the board ").removesuffix(" for")
        assert first in source, text
