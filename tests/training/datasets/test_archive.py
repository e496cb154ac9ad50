import io
import os
import tarfile

import pytest

from hiddenite.golden.errors import InputError

pytest.importorskip("torch")

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
