import subprocess
import sys
import time
from dataclasses import replace

import pytest
from foreign_variables import FOREIGN

from hiddenite.synthesis.processes import Job, run, tail


def job(folder, name, code):
    return Job(command=(sys.executable, "-c", code), directory=folder, log=folder / f"{name}.log")


def test_run(tmp_path):
    jobs = [job(tmp_path, n, f"print({n} * 'x'); raise SystemExit({n})") for n in range(3)]
    ends, seen = {}, []
    run(jobs, at_once=2, watch=lambda r, d: seen.append((r, d)), ended=ends.__setitem__)
    assert {n: end.status for n, end in ends.items()} == {0: 0, 1: 1, 2: 2}
    assert all(end.seconds > 0 for end in ends.values())
    assert max(len(running) for running, _ in seen) <= 2 and seen[-1] == ([], 3)
    assert tail(jobs[2].log) == ["xx"]


def test_programs_get_none_of_the_users_variables(tmp_path, monkeypatch):
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    plain = job(tmp_path, "log", "import os; print(*os.environ, os.environ['TMPDIR'])")
    run([replace(plain, variables={"TMPDIR": "/own"})])
    (line,) = tail(tmp_path / "log.log")
    assert line.endswith(" /own") and not FOREIGN.keys() & set(line.split())


def test_a_hopeless_job_is_ended_and_the_next_one_begins(tmp_path):
    code = "import time; print('working', flush=True); time.sleep(60)"
    jobs = [job(tmp_path, "first", code), job(tmp_path, "second", "print('done')")]
    ends = {}

    def hopeless(number):
        return tail(jobs[number].log) == ["working"]

    began = time.perf_counter()
    run(jobs, hopeless=hopeless, ended=ends.__setitem__)
    assert time.perf_counter() - began < 30
    assert {number: end.status for number, end in ends.items()} == {0: -9, 1: 0}


def test_tail_of_a_long_log(tmp_path):
    assert tail(tmp_path / "none") == []
    (tmp_path / "log").write_text("".join(f"{n}\n" for n in range(10_000)))
    assert tail(tmp_path / "log")[-1] == "9999" and len(tail(tmp_path / "log")) == 30


def test_interrupt_ends_every_process(tmp_path, monkeypatch):
    started = []

    class Kept(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Kept)

    def interrupt(running, done):
        assert len(running) == 2
        raise KeyboardInterrupt

    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        run(
            [job(tmp_path, n, "import time; time.sleep(60)") for n in range(3)],
            at_once=2,
            watch=interrupt,
        )
    assert time.perf_counter() - began < 30
    assert len(started) == 2 and all(process.returncode == -9 for process in started)
