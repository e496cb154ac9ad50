import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pytest

from hiddenite.cli import main as module
from hiddenite.cli.main import cli, main

COMMANDS = [
    "demo", "generate", "simulate", "infer", "estimate", "compile", "synth", "configs", "train",
    "import", "sweep", "build", "flash", "run", "doctor",
]  # fmt: skip


def test_commands():
    assert list(cli.commands) == COMMANDS


def test_version(run):
    assert run("--version") == (0, f"hiddenite, version {version('hiddenite')}\n", "")


def test_help_without_a_command(run):
    ran = run()
    assert ran.status == 0 and ran.out == run("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in ran.out
    assert "..." not in ran.out.partition("Commands:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_defaults(run, command):
    ran = run(command, "--help")
    assert ran.status == 0
    options = ran.out.partition("Options:")[2].split("\n  -")
    for option in options:
        if option.startswith(("-config", "-images", "-simulator")):
            assert "(default: " in " ".join(option.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no such command 'nothing'"),
        (["--nothing"], "no such option '--nothing'"),
        (["estimate"], "missing argument 'NETWORK'"),
        (["simulate", "{network}"], "missing argument 'IMAGES.npy'"),
        (["compile", "{network}"], "missing option '-o' / '--output'"),
        (["configs", "more"], "got unexpected extra argument (more)"),
        (
            ["demo", "--images", "0"],
            "invalid value for '--images': 0 is not in the range 1<=x<=100",
        ),
        (
            ["simulate", "{network}", "x", "--simulator", "none"],
            "invalid value for '--simulator': 'none' is not one of 'verilator', 'icarus'",
        ),
        (
            ["estimate", "{network}", "--config", "none"],
            "configuration: must be a preset (tiny, up5k, hx8k, ecp5-25f, ecp5-85f, asic) or a TOML"
            " file, not 'none'",
        ),
        (["estimate", "none.safetensors"], "none.safetensors: no such file"),
    ],
)
def test_refused_arguments(refused, network_path, here, arguments, message):
    line = refused(*(a.format(network=network_path) for a in arguments))
    # The wording is click's, and not the same in all its versions.
    assert line.replace("option: --nothing", "option '--nothing'") == message
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ich = 3", "key 'och' is missing"),
        ("ich = ", "not TOML: "),
        ("lanes = 3", "unknown key 'lanes'"),
        (
            "ich = 3\noch = 4\nactivation_words = 64\ntile_words = 64",
            "configuration: ich must be a power of two from 1 to 32, not 3",
        ),
        (f"ich = {'[' * 5000}", "nested too deeply"),
    ],
)
def test_refused_configuration_file(refused, network_path, tmp_path, text, message):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    assert message in refused("estimate", network_path, "--config", file)


def test_unreadable_configuration_file(refused, network_path, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "mine.toml"
    file.touch()
    monkeypatch.setattr("pathlib.Path.read_text", fail)
    line = refused("estimate", network_path, "--config", file)
    assert line == f"configuration {file}: Permission denied"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyboardInterrupt(), 130, "hiddenite: interrupted\n"),
        (RuntimeError("it failed\nlog 1\nlog 2"), 1, "hiddenite: it failed\nlog 1\nlog 2\n"),
        (MemoryError(), 1, "hiddenite: out of memory\n"),
        (RuntimeError("x" * 1001), 1, f"hiddenite: {'x' * 1000}...\n"),
        (OSError(28, "No space left on device", "f"), 1, "hiddenite: f: No space left on device\n"),
        (OSError("odd\x1b[1m"), 1, "hiddenite: odd\\x1b[1m\n"),
    ],
)
def test_what_goes_wrong_inside(run, monkeypatch, error, status, text):
    def fail(*_):
        raise error

    monkeypatch.setattr("hiddenite.cli.design.print_json", fail)
    assert run("configs", "--json") == (status, "", text)


def test_missing_tool(refused, network_path, images_path, here, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    line = refused(
        "simulate", network_path, images_path, "--config", "tiny", "-o", "r.npy", "--waves", "w.vcd"
    )
    assert " is not installed: " in line
    assert not list(here.iterdir())


def start(*arguments, **options):
    code = "import sys; from hiddenite.cli.main import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_nobody_reads():
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from hiddenite.cli.main import main; sys.exit(main())"
    for option in ([], ["--json"]):
        ran = subprocess.run(
            [sys.executable, "-c", code, "configs", *option],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (141, "")
    os.close(write)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing(here, number, status):
    with start("generate", "--config", "asic", "-o", "new") as process:
        try:
            end = time.monotonic() + 30
            while not (begun := list(here.glob("new/.*"))) and time.monotonic() < end:
                time.sleep(0.01)
            assert begun
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (status, "", "hiddenite: interrupted\n")
    assert not list(here.iterdir())


def test_signal_handler_is_put_back(run):
    before = signal.getsignal(signal.SIGTERM)
    run("configs")
    assert signal.getsignal(signal.SIGTERM) is before


def test_arguments_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hiddenite", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("hiddenite, version ")
    assert module.__all__ == ["cli", "main"]
