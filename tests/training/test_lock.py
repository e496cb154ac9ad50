import errno
import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from hiddenite.golden.errors import InputError
from hiddenite.training import lock
from hiddenite.training.lock import alone

# Without what its package imports, which takes seconds.
HOLD = """
import runpy, sys
from pathlib import Path
with runpy.run_path(sys.argv[1])["alone"](Path(sys.argv[2]), "wait"):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Start a process that locks a path, until its input ends."""
    started = []

    def hold(path):
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, lock.__file__, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(child)
        assert child.stdout.readline() == b"locked\n"
        return child

    yield hold
    for child in started:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("name", ["file.pt", "folder"])
def test_a_second_one_is_refused_until_the_first_ends(tmp_path, hold, name):
    (tmp_path / "folder").mkdir()
    path = tmp_path / name
    child = hold(path)
    with pytest.raises(InputError) as raised, alone(path, "let it end"):
        pass
    assert str(raised.value) == f"{path}: another training is writing it: let it end"
    child.communicate()
    assert child.returncode == 0
    with alone(path, "let it end"):
        pass
    assert [p.name for p in tmp_path.rglob("*")] == ["folder"]


def test_a_killed_one_is_in_nobody_s_way(tmp_path, hold):
    child = hold(tmp_path / "file")
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (tmp_path / ".file.lock").exists()
    with alone(tmp_path / "file", "wait"):
        pass
    assert not list(tmp_path.iterdir())


def test_another_name_of_the_same_file_and_another_file(tmp_path):
    (tmp_path / "link").symlink_to("file")
    with alone(tmp_path / "file", "wait"):
        with pytest.raises(InputError, match="another training"), alone(tmp_path / "link", "wait"):
            pass
        with alone(tmp_path / "other", "wait"):
            pass


def test_an_error_gives_the_lock_back(tmp_path):
    with pytest.raises(RuntimeError), alone(tmp_path / "file", "wait"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_lock_that_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    path = tmp_path / "file"
    flock, calls = lock.fcntl.flock, []

    def slow(descriptor, operation):
        flock(descriptor, operation)
        calls.append(descriptor)
        if len(calls) == 1:  # Its owner has removed it, and another process has made a new one.
            (tmp_path / ".file.lock").unlink()
            (tmp_path / ".file.lock").touch()

    monkeypatch.setattr(lock.fcntl, "flock", slow)
    with alone(path, "wait"):
        assert len(calls) == 2
        monkeypatch.undo()
        with pytest.raises(InputError, match="another training"), alone(path, "wait"):
            pass


def test_a_place_that_cannot_be_written(tmp_path):
    path = tmp_path / "no" / "file"
    with pytest.raises(InputError) as raised, alone(path, "wait"):
        pass
    assert str(raised.value) == f"{path}: cannot be written: No such file or directory"


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(lock.fcntl, "flock", fail)
    with alone(tmp_path / "file", "wait"):
        assert (tmp_path / ".file.lock").exists()
    assert not list(tmp_path.iterdir())
