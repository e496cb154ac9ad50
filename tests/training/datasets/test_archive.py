import gzip
import io
import os
import tarfile

import pytest
from memory import at_most

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError

pytest.importorskip("torch")

from hiddenite.training.datasets import archive
from hiddenite.training.datasets.archive import is_archive, stem, unpacked


@pytest.fixture
def content(tmp_path):
    folder = tmp_path / "content"
    (folder / "inside").mkdir(parents=True)
    (folder / "a").write_bytes(os.urandom(5000))
    (folder / "inside" / "b").write_bytes(os.urandom(5000))
    return folder


@pytest.mark.parametrize(
    ("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tar.xz", "w:xz"), (".TBZ", None)]
)
def test_names(suffix, mode, tmp_path, content, pack):
    path = tmp_path / f"some.data{suffix}"
    assert not is_archive(path)
    if mode is None:
        path.write_text("")
        assert not is_archive(path)
    else:
        pack(content, path, mode)
        assert is_archive(path)
        assert stem(path) == "some.data"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_unpacks_once(mode, tmp_path, content, pack, own_cache):
    path = pack(content, tmp_path / "data.tar", mode)
    calls = []
    folder = unpacked(path, lambda *call: calls.append(call))
    assert folder.parent == own_cache
    assert (folder / "a").read_bytes() == (content / "a").read_bytes()
    assert (folder / "inside" / "b").read_bytes() == (content / "inside" / "b").read_bytes()
    assert calls[-1] == ("unpacking data.tar", path.stat().st_size, path.stat().st_size)

    calls.clear()
    assert unpacked(path, lambda *call: calls.append(call)) == folder
    assert not calls
    os.utime(path, ns=(0, 0))
    assert unpacked(path) != folder
    assert sorted(path.name[:5] for path in own_cache.iterdir()) == ["data-", "data-"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_damaged(mode, tmp_path, content, pack, own_cache):
    path = pack(content, tmp_path / "data.tar", mode)
    whole = path.read_bytes()
    middle = len(whole) // 2
    cases = [b"", b"text" * 500, whole[:middle]]
    if mode != "w":  # Only compressed archives have a checksum.
        cases.append(whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :])
    if mode == "w:gz":
        cases.append(whole[:-8] + bytes(8))
    for damaged in cases:
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            unpacked(path)
        assert str(caught.value).startswith(f"{path}: must be an undamaged archive: ")
        assert "\n" not in str(caught.value)
    assert list(own_cache.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind", "rule"),
    [
        ("../outside", tarfile.REGTYPE, "names must stay inside it, unlike"),
        ("a/../../outside", tarfile.REGTYPE, "names must stay inside it, unlike"),
        ("/outside", tarfile.REGTYPE, "names must stay inside it, unlike"),
        ("link", tarfile.SYMTYPE, "must hold nothing but files and folders, unlike"),
        ("link", tarfile.LNKTYPE, "must hold nothing but files and folders, unlike"),
        ("pipe", tarfile.FIFOTYPE, "must hold nothing but files and folders, unlike"),
        ("device", tarfile.CHRTYPE, "must hold nothing but files and folders, unlike"),
    ],
)
def test_unsafe_members(name, kind, rule, tmp_path, own_cache, refused):
    path = tmp_path / "data.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc"
        member.size = 1 if kind == tarfile.REGTYPE else 0
        tar.addfile(member, io.BytesIO(b"x"))
    with refused(f"{path}: {rule} {name!r}"):
        unpacked(path)
    assert list(own_cache.iterdir()) == []


@pytest.fixture
def small_limit(monkeypatch):
    """Let any archive unpack to a megabyte only."""
    monkeypatch.setattr(archive, "LEAST_LIMIT", 2**20)


def excess(path, size=None):
    limit = max(2**20, 50 * (size or path.stat().st_size))
    return (
        f"{path}: must unpack to at most {limit:,} bytes (50 times its size, or 1,048,576), but"
        " holds more; unpack it yourself, and give the folder"
    )


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("files", [1, 100])
def test_files_that_are_much_larger_unpacked(
    mode, files, tmp_path, pack, own_cache, small_limit, refused
):
    folder = tmp_path / "content"
    folder.mkdir()
    for number in range(files):
        (folder / str(number)).write_bytes(bytes(2**25 // files))
    path = pack(folder, tmp_path / "data.tar.gz", mode)
    with at_most(2**24), refused(excess(path)):
        unpacked(path)
    assert list(own_cache.iterdir()) == []


@pytest.mark.parametrize("numbers", ["0,0", "0,1,1073741824,1"])
def test_sparse_files(numbers, tmp_path, own_cache, small_limit, refused):
    path = tmp_path / "data.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("sparse")
        member.size = 2
        member.pax_headers = {"GNU.sparse.map": numbers, "GNU.sparse.size": str(2**31)}
        tar.addfile(member, io.BytesIO(b"xx"))
    assert path.stat().st_size < 11_000
    with at_most(2**24), refused(excess(path)):
        unpacked(path)
    assert list(own_cache.iterdir()) == []


def tar_of(path, names, mode="w:gz", kind=tarfile.REGTYPE):
    with tarfile.open(path, mode) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = kind
            tar.addfile(member)
    return path


def test_many_empty_files(tmp_path, own_cache, small_limit, refused):
    path = tar_of(tmp_path / "data.tgz", map(str, range(2000)))
    with refused(excess(path)):
        unpacked(path)
    assert list(own_cache.iterdir()) == []
    # As many as 4,096 bytes each leave room for.
    assert len(list(unpacked(tar_of(tmp_path / "few.tgz", map(str, range(250)))).iterdir())) == 250


def test_folders_without_files(tmp_path, small_limit):
    path = tar_of(tmp_path / "data.tgz", map(str, range(2000)), kind=tarfile.DIRTYPE)
    assert not list(unpacked(path).iterdir())


def test_many_folders_for_one_file_each(tmp_path, small_limit, refused):
    names = [f"{number}/b/c/d/e/f/g/h" for number in range(50)]
    path = tar_of(tmp_path / "data.tgz", names)
    with refused(excess(path)):
        unpacked(path)


def test_deep_names(tmp_path, own_cache, refused):
    name = "a/" * 1000 + "b"
    path = tar_of(tmp_path / "data.tgz", [name])
    with refused(f"{path}: names must have at most 64 parts, unlike {one_line(name)}"):
        unpacked(path)
    assert list(own_cache.iterdir()) == []


def test_headers_of_any_size(tmp_path, own_cache, refused):
    path = tmp_path / "data.tgz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, compresslevel=1) as tar:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"comment": "x" * 2**25}
        tar.addfile(member)
    with (
        at_most(2**22),
        refused(f"{path}: must have headers of at most 65,536 bytes, not larger ones"),
    ):
        unpacked(path)
    assert list(own_cache.iterdir()) == []


def test_what_follows_the_archive(tmp_path, small_limit, refused):
    path = tmp_path / "data.tgz"
    tar_of(path, ["a"])
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(2**26)))
    with at_most(2**23), refused(excess(path)):
        unpacked(path)


def test_what_unpacks_to_much_for_its_size_is_read(tmp_path, content, pack, small_limit):
    (content / "zeros").write_bytes(bytes(900_000))
    assert (unpacked(pack(content, tmp_path / "data.tgz")) / "zeros").stat().st_size == 900_000


def test_cache_that_cannot_be_written(tmp_path, content, pack, monkeypatch, refused):
    path = pack(content, tmp_path / "data.tar")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HIDDENITE_CACHE", str(tmp_path / "file"))
    with refused(f"cannot write to {tmp_path / 'file' / 'datasets'}: Not a directory"):
        unpacked(path)


def test_names_that_exclude_each_other(tmp_path, refused):
    path = tmp_path / "data.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("a", "a/b"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with refused(f"cannot unpack {path}: File exists"):
        unpacked(path)
