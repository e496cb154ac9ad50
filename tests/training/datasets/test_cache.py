from pathlib import Path

import pytest

pytest.importorskip("torch")

from hiddenite.training.datasets.cache import datasets_directory, new_entry


def test_directory(monkeypatch):
    monkeypatch.setenv("HIDDENITE_CACHE", "/own")
    assert datasets_directory() == Path("/own/datasets")


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), new_entry(tmp_path / "new" / "file") as path:
        path.write_text("half")
        raise ZeroDivisionError
    assert list((tmp_path / "new").iterdir()) == []


def test_another_process_was_quicker(tmp_path):
    final = tmp_path / "folder"
    with new_entry(final) as path:
        path.mkdir()
        (path / "file").write_text("late")
        final.mkdir()
        (final / "file").write_text("early")
    assert (final / "file").read_text() == "early"
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []
