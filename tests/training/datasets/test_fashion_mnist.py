import gzip
import hashlib

import numpy as np
import pytest
from memory import at_most

from hiddenite.golden.errors import InputError

pytest.importorskip("torch")

from hiddenite.training.datasets import fashion_mnist, load

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def test_small_files(idx_folder):
    folder, contents = idx_folder
    dataset = load("fashion-mnist", folder)
    assert dataset.shape == (6, 6, 1)
    assert (len(dataset.train), len(dataset.test), len(dataset.classes)) == (12, 5, 10)
    assert dataset.train.images.tobytes() == contents[IMAGES][16:]
    assert dataset.train.labels.tolist() == [*range(10), 0, 1]


def test_real_files():
    if not fashion_mnist.DEBIAN.is_dir():
        pytest.skip("the real Fashion-MNIST is not read: no package dataset-fashion-mnist")
    dataset = load("fashion-mnist")
    assert dataset.shape == (28, 28, 1)
    assert (len(dataset.train), len(dataset.test)) == (60000, 10000)
    assert np.bincount(dataset.train.labels).tolist() == [6000] * 10
    # Trousers fill the middle, from top to bottom, and not the sides.
    trousers = dataset.test.batch(np.flatnonzero(dataset.test.labels == 1)).mean(0)[:, :, 0]
    assert trousers[:, 10:18].mean() > 3 * trousers[:, [*range(6), *range(22, 28)]].mean()


def test_missing_files(tmp_path, monkeypatch, own_cache, refused):
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "none")
    hint = "get them with `apt install dataset-fashion-mnist` or --download"
    with refused(
        f"{own_cache / 'fashion-mnist'}: must hold the IDX files of Fashion-MNIST, but there is no"
        f" such folder; {hint}"
    ):
        load("fashion-mnist")
    with refused(
        f"{tmp_path}: must hold the IDX files of Fashion-MNIST, but {IMAGES}.gz is missing; {hint}"
    ):
        load("fashion-mnist", tmp_path)


def write(folder, name, content):
    for path in (folder / name, folder / f"{name}.gz"):
        path.unlink(missing_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_damaged_files(idx_folder, refused):
    folder, contents = idx_folder
    images, labels = contents[IMAGES], contents[LABELS]

    path = write(folder, IMAGES, labels)
    with refused(f"{path}: must begin with the magic number 00000803, not '00000801'"):
        load("fashion-mnist", folder)
    write(folder, IMAGES, images[:10])
    with refused(f"{path}: must be at least 16 bytes, not 10"):
        load("fashion-mnist", folder)
    write(folder, IMAGES, b"")
    with refused(f"{path}: must begin with the magic number 00000803, not ''"):
        load("fashion-mnist", folder)
    for wrong in (images[:-1], images + b"\0"):
        write(folder, IMAGES, wrong)
        found = len(wrong) if len(wrong) < 448 else "more"
        with refused(f"{path}: must be 448 bytes for 12 x 6 x 6, not {found}"):
            load("fashion-mnist", folder)
    write(folder, IMAGES, images)

    path = write(folder, LABELS, labels[:7] + b"\x0b" + labels[8:-1])
    with refused(f"{path}: must have one label for each of 12 images, not 11"):
        load("fashion-mnist", folder)
    write(folder, LABELS, labels[:-1] + b"\x0a")
    with refused(f"{path}: labels must be 0 to 9, not 10"):
        load("fashion-mnist", folder)


def test_files_that_hold_more_than_they_say(idx_folder, refused):
    folder, contents = idx_folder
    path = write(folder, IMAGES, contents[IMAGES] + bytes(2**27))
    with at_most(2**22), refused(f"{path}: must be 448 bytes for 12 x 6 x 6, not more"):
        load("fashion-mnist", folder)
    path.unlink()
    path = folder / f"{IMAGES}.gz"
    path.write_bytes(gzip.compress(contents[IMAGES] + bytes(2**27), 1))
    with at_most(2**22), refused(f"{path}: must be 448 bytes for 12 x 6 x 6, not more"):
        load("fashion-mnist", folder)


def test_files_that_say_more_than_they_hold(idx_folder, refused):
    folder, contents = idx_folder
    start = contents[IMAGES][:4]
    path = write(folder, IMAGES, start + b"\0\0\xff\xff" + b"\0\0\x3f\xff" + b"\0\0\0\1")
    with at_most(2**22), refused(f"{path}: must be 1073659921 bytes for 65535 x 16383 x 1, not 16"):
        load("fashion-mnist", folder)
    write(folder, IMAGES, start + b"\xff" * 12)
    with refused(
        f"{path}: must hold at most 1,073,741,824 bytes, not 79,228,162,458,924,105,385,300,197,391"
    ):
        load("fashion-mnist", folder)


def test_damaged_gzip(idx_folder):
    folder, contents = idx_folder
    path = folder / f"{IMAGES}.gz"
    packed = gzip.compress(contents[IMAGES])
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]
    for damaged in (packed[:-20], flipped, b"text", packed[:-8] + bytes(8)):
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            load("fashion-mnist", folder)
        assert str(caught.value).startswith(f"{path}: must be an undamaged gzip file: ")


@pytest.fixture
def offered(idx_folder, server, tmp_path, monkeypatch):
    """Offer the small files for download, with their digests: (contents, files, lengths)."""
    _, contents = idx_folder
    url, files, lengths = server
    for name, content in contents.items():
        files[f"/{name}.gz"] = gzip.compress(content)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "none")
    monkeypatch.setattr(fashion_mnist, "URL", url)
    digests = {name: hashlib.sha256(contents[name]).hexdigest() for name in fashion_mnist.FILES}
    monkeypatch.setattr(fashion_mnist, "FILES", digests)
    return contents, files, lengths


def test_download(offered, own_cache):
    contents, files, _ = offered
    calls = []
    dataset = load("fashion-mnist", download=True, progress=lambda *call: calls.append(call))
    assert dataset.train.images.tobytes() == contents[IMAGES][16:]
    size = len(files[f"/{IMAGES}.gz"])
    assert (f"downloading {IMAGES}.gz", size, size) in calls
    assert len(list((own_cache / "fashion-mnist").iterdir())) == 4
    # What is there is not fetched again.
    files.clear()
    assert load("fashion-mnist", download=True).fingerprint == dataset.fingerprint
    assert load("fashion-mnist").fingerprint == dataset.fingerprint


def test_download_from_a_file(idx_folder, tmp_path, monkeypatch):
    _, contents = idx_folder
    content = contents[IMAGES]
    source = tmp_path / "source"
    source.mkdir()
    (source / f"{IMAGES}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setattr(fashion_mnist, "URL", source.as_uri())
    digests = {**fashion_mnist.FILES, IMAGES: hashlib.sha256(content).hexdigest()}
    monkeypatch.setattr(fashion_mnist, "FILES", digests)
    with pytest.raises(InputError, match=LABELS):
        load("fashion-mnist", tmp_path / "new", download=True)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"{IMAGES}.gz"]


def test_bad_downloads(offered, own_cache, refused):
    contents, files, lengths = offered
    place, url = f"/{IMAGES}.gz", f"{fashion_mnist.URL}/{IMAGES}.gz"
    packed = files[place]

    files[place] = packed[:-30]
    lengths[place] = len(packed)
    with refused(
        f"{url}: must be {len(packed)} bytes, but the download ended after {len(packed) - 30}"
    ):
        load("fashion-mnist", download=True)
    lengths.clear()
    with pytest.raises(InputError) as caught:
        load("fashion-mnist", download=True)
    assert str(caught.value).startswith(f"{url}: cannot be decompressed: ")

    other = contents[LABELS]
    files[place] = gzip.compress(other)
    with refused(
        f"{url}: must have sha256 {fashion_mnist.FILES[IMAGES]},"
        f" not {hashlib.sha256(other).hexdigest()}"
    ):
        load("fashion-mnist", download=True)

    del files[place]
    with refused(f"cannot download {url}: HTTP Error 404: Not Found"):
        load("fashion-mnist", download=True)
    assert list((own_cache / "fashion-mnist").iterdir()) == []


def test_download_without_an_end(offered, own_cache, monkeypatch, refused):
    url = f"{fashion_mnist.URL}/{IMAGES}.gz"
    monkeypatch.setattr("hiddenite.training.datasets.download.LARGEST", 100)
    with refused(f"{url}: must be at most 100 bytes, but goes on"):
        load("fashion-mnist", download=True)
    assert not list(own_cache.rglob("*.gz"))


def test_no_server(offered, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "URL", "http://127.0.0.1:1")
    with pytest.raises(InputError) as caught:
        load("fashion-mnist", download=True)
    assert str(caught.value) == (
        f"cannot download http://127.0.0.1:1/{IMAGES}.gz: Connection refused"
    )


def test_folder_that_cannot_be_made(offered, tmp_path, refused):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "inside"
    with refused(f"cannot write to {folder}: Not a directory"):
        load("fashion-mnist", folder, download=True)
