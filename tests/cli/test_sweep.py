import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--densities", "0.1,x"], "must be numbers with commas between them, not '0.1,x'"),
        (["--densities", "0.1,2"], "density must be above 0 and at most 1, not 2.0"),
        (["--widths", "0"], "width must be above 0, not 0.0"),
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


def test_an_interrupted_sweep_leaves_no_process_and_goes_on(run, here):
    arguments = ["sweep", "digits", "--epochs", "40", "--densities", "0.3", "--widths", "0.5"]
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
