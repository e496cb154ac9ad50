import os

from foreign_variables import FOREIGN

from hiddenite.sim.environment import environment


def test_what_is_needed_stays_and_nothing_else(monkeypatch):
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    needed = {"PATH": "/a", "LC_ALL": "C", "LD_LIBRARY_PATH": "/b", "CPATH": "/c", "PYTHONPATH": ""}
    for name, value in needed.items():
        monkeypatch.setenv(name, value)
    found = environment()
    assert needed.items() <= found.items() <= os.environ.items()
    assert not FOREIGN.keys() & found.keys()


def test_own_variables_come_first(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/a")
    monkeypatch.setenv("COCOTB_TOPLEVEL", "b")
    found = environment(PYTHONPATH="/c", COCOTB_TOPLEVEL="d")
    assert (found["PYTHONPATH"], found["COCOTB_TOPLEVEL"]) == ("/c", "d")


def test_no_path(monkeypatch):
    monkeypatch.delenv("PATH")
    assert environment()["PATH"] == os.defpath
