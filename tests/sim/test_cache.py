from pathlib import Path

import pytest

from hiddenite.sim.cache import cache_directory, entry, new_entry


def test_cache_directory(monkeypatch):
    monkeypatch.delenv("HIDDENITE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_directory() == Path("/somewhere/hiddenite")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/elsewhere")
    assert cache_directory() == Path("/elsewhere/.cache/hiddenite")
    monkeypatch.setenv("HIDDENITE_CACHE", "/own")
    assert cache_directory() == Path("/own")


@pytest.fixture
def final(monkeypatch, tmp_path):
    """Folder of a result that is not there yet."""
    monkeypatch.setenv("HIDDENITE_CACHE", str(tmp_path / "cache"))
    return entry("kind", 1, {"of": "results"})


def test_entries_have_what_they_follow_from_in_their_names(final):
    assert final.parent == cache_directory() and final.name.startswith("kind-")
    assert entry("kind", 1, {"of": "results"}) == final
    others = entry("kind", 1, {"of": "others"}), entry("kind", "1", {"of": "results"})
    assert len({final, *others}) == 3


def test_a_finished_result_is_kept(final):
    with new_entry(final) as (work, finished):
        (work / "log").touch()
        (finished / "result").write_text("whole")
        assert not final.exists()
    assert [path.name for path in final.iterdir()] == ["result"]
    assert list(final.parent.iterdir()) == [final]


def test_nothing_is_left_of_a_failure(final):
    with pytest.raises(ZeroDivisionError), new_entry(final) as (_, finished):
        (finished / "result").write_text("half")
        raise ZeroDivisionError
    assert list(final.parent.iterdir()) == []


def test_another_process_was_quicker(final):
    with new_entry(final) as (_, finished):
        (finished / "result").write_text("late")
        final.mkdir()
        (final / "result").write_text("early")
    assert (final / "result").read_text() == "early"
    assert list(final.parent.iterdir()) == [final]
