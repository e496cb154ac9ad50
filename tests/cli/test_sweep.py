import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from hiddenite.cli import training_options as module
from hiddenite.golden.errors import InputError
from hiddenite.training import sweep
from hiddenite.training.lock import alone

SWEEP = ("sweep", "digits", "--epochs", "1", "--densities", "0.3,0.1", "--widths", "0.25")


def test_sweep_writes_results_and_a_picture_and_goes_on(run, here):
    ran = run(*SWEEP, "--jobs", "2", "-o", "out")
    assert ran.status == 0, ran.err
    report = json.loads((here / "out" / "results.json").read_text())
    assert [(r["kind"], r["density"]) for r in report["results"]] == [
        ("binary", 1.0),
        ("dense", 1.0),
        ("hidden", 0.1),
        ("hidden", 0.3),
    ]
    sizes = [r["program_bytes"] for r in report["results"]]
    assert sizes[2] < sizes[3] < sizes[1] and sizes[0] < sizes[1]
    assert (here / "out" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    times = {p: p.stat().st_mtime_ns for p in (here / "out").glob("hidden*")}
    (here / "out" / "binary-w0.25.json").unlink()
    ran = run(*SWEEP, "--jobs", "1", "-o", "out", "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["results"] == report["results"]
    assert times == {p: p.stat().st_mtime_ns for p in (here / "out").glob("hidden*")}


def test_sweep_refuses_results_of_another(run, refused, here):
    options = ("--densities", "0.3", "--widths", "0.25", "--no-baselines", "-o", "out")
    assert run("sweep", "digits", "--epochs", "1", *options).status == 0
    message = refused("sweep", "digits", "--epochs", "2", *options)
    assert message == (
        "out/hidden-w0.25-d0.3.json: must be of the same sweep: epochs is 2 now and 1 there"
    )
    (here / "out" / "hidden-w0.25-d0.3.json").write_text("{")
    assert refused("sweep", "digits", "--epochs", "1", *options) == (
        "out/hidden-w0.25-d0.3.json: must be a result of a sweep, not a damaged file"
    )


def test_sweep_of_what_no_preset_holds(run, here, monkeypatch):
    small = replace(module.PRESETS["tiny"], activation_words=16)
    monkeypatch.setattr(module, "PRESETS", {"small": small})
    monkeypatch.setattr(module, "_PRESETS", ("small",))
    options = ("--epochs", "1", "--densities", "0.3", "--widths", "1", "--jobs", "1", "-o", "a/b")
    ran = run("sweep", "digits", *options)
    reason = "no preset holds the network; network for configuration small: "
    assert ran.status == 0 and ran.err.startswith(
        f"hiddenite: there will be no program size: {reason}"
    )
    assert f"no programs to compare: {reason}" in " ".join(ran.out.split())
    report = json.loads((here / "a" / "b" / "results.json").read_text())
    assert report["configuration"] is None and report["no_program"].startswith(reason)
    assert [r["program_bytes"] for r in report["results"]] == [None] * 3
    assert (here / "a" / "b" / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_sweep_tells_which_network_has_no_program(run, here, monkeypatch):
    def cost_of(network, c):
        if c is not None and network.layers[0].mask.mean() < 0.2:
            raise InputError("layer 'x': bias must have at most 20 bits, not 21")
        return real(network, c)

    real = sweep.cost_of
    monkeypatch.setattr(sweep, "cost_of", cost_of)
    ran = run(*SWEEP, "--scope", "layer", "--jobs", "1", "--no-baselines", "-o", "out")
    assert (ran.status, ran.err) == (0, "")
    assert (
        "\nwidth 0.25, density 0.1: no program for up5k: layer 'x': bias must have at most 20 bits,"
        " not 21\n"
    ) in ran.out and ran.out.count("no program") == 1
    rows = json.loads((here / "out" / "results.json").read_text())["results"]
    assert [row["program_bytes"] is None for row in rows] == [True, False]


def test_a_second_sweep_into_the_same_folder_is_refused(refused, here):
    (here / "out").mkdir()
    with alone(here / "out", ""):
        assert refused(*SWEEP, "-o", "out/") == (
            "out: another training is writing it: let it end, or give another directory with -o"
        )
    assert not list((here / "out").iterdir())


@pytest.mark.parametrize("name", ["results.json", "sweep.png"])
def test_sweep_refuses_a_directory_in_the_place_of_a_file(refused, here, name):
    (here / "out" / name).mkdir(parents=True)
    assert refused(*SWEEP, "-o", "out") == f"out/{name}: must be a file, not a directory"
    assert [path.name for path in (here / "out").iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--densities", "0.1,x"], "must be numbers with commas between them, not '0.1,x'"),
        (["--densities", "0.1,2"], "density must be above 0 and at most 1, not 2.0"),
        (["--widths", "0"], "width must be above 0, not 0.0"),
        (["-o", "/dev/null/s"], "/dev/null/s: cannot be made a directory: Not a directory"),
    ],
)
def test_sweep_refuses(refused, here, arguments, message):
    assert refused("sweep", "digits", *arguments).endswith(message)
    assert not list(here.iterdir())


def test_sweep_with_teachers_of_each_width(run, here):
    options = ("--distill", "0.5", "--jobs", "1", "--densities", "0.3", "--widths", "0.25,0.5")
    ran = run("sweep", "digits", "--epochs", "1", *options, "-o", "out", "--json")
    assert ran.status == 0, ran.err
    results = json.loads(ran.out)["results"]
    assert [r["width"] for r in results if r["kind"] == "hidden"] == [0.25, 0.5]
    assert {p.name for p in (here / "out").glob("*.pt")} == {"teacher-w0.25.pt", "teacher-w0.5.pt"}


def test_sweep_without_baselines_trains_each_teacher_once(run, here):
    options = ("--distill", "0.5", "--no-baselines", "--jobs", "2", "--widths", "0.25")
    ran = run("sweep", "digits", "--epochs", "1", "--densities", "0.1,0.3", *options, "-o", "out")
    assert ran.status == 0, ran.err
    assert [p.name for p in (here / "out").glob("*.pt")] == ["teacher-w0.25.pt"]


def test_an_interrupted_sweep_leaves_no_process_and_goes_on(run, here):
    arguments = ["sweep", "digits", "--epochs", "20", "--densities", "0.3", "--widths", "0.5"]
    arguments += ["--no-baselines", "-o", "out", "--jobs", "1"]
    code = "from hiddenite.cli.main import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, *arguments]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    checkpoint = here / "out" / "hidden-w0.5-d0.3.checkpoints" / "hidden.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, "hiddenite: interrupted\n")
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(child.pid, 0)
            time.sleep(0.01)
    assert checkpoint.exists()
    assert run(*arguments).status == 0
