import errno
import os
import tempfile

import pytest

from hiddenite.cli.files import make_directory, make_folders, output
from hiddenite.golden.errors import InputError


def test_output_takes_its_place_at_the_end(here):
    path = here / "a" / "b" / "file.txt"
    with output(path) as file:
        file.write(b"new")
        assert not path.exists() and file.temporary.suffix == ".txt"
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("error", [InputError("no"), KeyboardInterrupt(), RuntimeError("no")])
def test_output_leaves_nothing_when_something_goes_wrong(here, error):
    (here / "a").mkdir()
    with pytest.raises(type(error)), output(here / "a" / "b" / "c" / "file") as file:
        file.write(b"half")
        raise error
    assert not list((here / "a").iterdir())


def test_output_that_is_not_wanted_leaves_no_file(here):
    with output(here / "a" / "b" / "file") as file:
        file.write(b"half")
        file.wanted = False
    assert not list(here.iterdir())


def test_folders_that_others_use_stay(here):
    with pytest.raises(RuntimeError), output(here / "a" / "b" / "file"):
        (here / "a" / "other").touch()
        raise RuntimeError
    assert [p.name for p in here.rglob("*")] == ["a", "other"]


def test_one_file_for_two_outputs(here):
    (here / "link").symlink_to("file")
    with output(here / "file") as file:
        with pytest.raises(InputError) as raised, output(here / "link"):
            pass
        file.write(b"x")
    assert str(raised.value) == (
        f"{here / 'link'}: cannot be written: another output is to be this file"
    )
    with output(here / "link") as file:
        file.write(b"y")
    assert (here / "file").read_bytes() == b"y"


def test_what_a_killed_process_of_the_same_number_left_is_in_nobody_s_way(here):
    (here / f".{os.getpid()}.file").touch()
    with output(here / "file") as file:
        file.write(b"x")
    assert (here / "file").read_bytes() == b"x"


@pytest.mark.parametrize("make", [make_directory, make_folders])
def test_new_directories_go_again(here, make):
    with pytest.raises(RuntimeError), make(here / "a" / "b"):
        assert (here / "a" / "b").is_dir()
        raise RuntimeError
    assert not list(here.iterdir())


def test_what_is_in_new_directories(here):
    with make_folders(here / "a") as new:
        assert new
    assert not (here / "a").exists()
    (here / "a").mkdir()
    with make_folders(here / "a") as new:
        assert not new
    assert (here / "a").exists()
    for make, stays in ((make_folders, True), (make_directory, False)):
        with pytest.raises(RuntimeError), make(here / "b" / "c"):
            (here / "b" / "c" / "file").touch()
            raise RuntimeError
        assert (here / "b").exists() == stays
        if stays:
            (here / "b" / "c" / "file").unlink()
            (here / "b" / "c").rmdir()
            (here / "b").rmdir()


@pytest.mark.parametrize("make", [make_directory, make_folders])
def test_directories_that_cannot_be(here, make):
    (here / "file").touch()
    for path, reason in (("file", "File exists"), ("file/a/b", "Not a directory")):
        with pytest.raises(InputError) as raised, make(here / path):
            pass
        assert str(raised.value) == f"{here / path}: cannot be made a directory: {reason}"
    assert [p.name for p in here.iterdir()] == ["file"]


def test_a_directory_that_takes_no_files(here, monkeypatch):
    def fail(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    with pytest.raises(InputError) as raised, make_folders(here / "a" / "b"):
        pass
    message = f"{here / 'a' / 'b'}: cannot be written into: Read-only file system"
    assert str(raised.value) == message
    assert not list(here.iterdir())
