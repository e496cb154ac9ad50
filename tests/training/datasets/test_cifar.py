import codecs
import hashlib
import io
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
from memory import at_most

from hiddenite.golden.errors import InputError

pytest.importorskip("torch")

from hiddenite.training.datasets import cifar, load

RNG = np.random.default_rng(3)
PARTS = {
    "cifar-10": [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"],
    "cifar-100": ["train", "test"],
}
FOLDERS = {
    ("cifar-10", "binary"): "cifar-10-batches-bin",
    ("cifar-10", "python"): "cifar-10-batches-py",
    ("cifar-100", "binary"): "cifar-100-binary",
    ("cifar-100", "python"): "cifar-100-python",
}
DATA = {
    name: [
        (RNG.integers(0, 256, (3, 32, 32, 3), np.uint8), RNG.integers(0, classes, 3))
        for _ in PARTS[name]
    ]
    for name, classes in (("cifar-10", 10), ("cifar-100", 100))
}


def planes(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), 3072)


def binary(name, images, labels):
    coarse = [[7]] * len(images) if name == "cifar-100" else [[]] * len(images)
    return b"".join(
        bytes([*before, label]) + pixels.tobytes()
        for before, label, pixels in zip(coarse, labels, planes(images), strict=True)
    )


def old_pickle(content):
    """Write a pickle as NumPy 1 on Python 2 did: old module names, and strings without encoding."""

    class Old(pickle._Pickler):
        def save_bytes(self, value):
            self.write(b"T" + len(value).to_bytes(4, "little") + value)
            self.memoize(value)

        def save_str(self, value):
            self.save_bytes(value.encode("latin1"))

    Old.dispatch = {**Old.dispatch, bytes: Old.save_bytes, str: Old.save_str}
    file = io.BytesIO()
    Old(file, 2).dump(content)
    return file.getvalue().replace(b"cnumpy._core", b"cnumpy.core")


def pickled(name, images, labels, dump=old_pickle):
    key = "fine_labels" if name == "cifar-100" else "labels"
    values = [int(label) for label in labels]
    return dump({"data": planes(images), key: values, "filenames": ["a.png"] * len(values)})


def write(folder, name, kind):
    inside = folder / FOLDERS[name, kind]
    inside.mkdir(parents=True)
    for part, (images, labels) in zip(PARTS[name], DATA[name], strict=True):
        if kind == "binary":
            (inside / f"{part}.bin").write_bytes(binary(name, images, labels))
        else:
            (inside / part).write_bytes(pickled(name, images, labels))
    return inside


def check(dataset, name):
    *train, test = DATA[name]
    assert dataset.name == name
    assert dataset.shape == (32, 32, 3)
    assert len(dataset.classes) == int(name[6:])
    for split, parts in ((dataset.train, train), (dataset.test, [test])):
        np.testing.assert_array_equal(split.images, np.concatenate([part[0] for part in parts]))
        np.testing.assert_array_equal(split.labels, np.concatenate([part[1] for part in parts]))


@pytest.mark.parametrize(("name", "kind"), FOLDERS)
def test_extracted_and_archive(name, kind, tmp_path, pack, own_cache):
    folder = tmp_path / "extracted"
    inside = write(folder, name, kind)
    check(load(name, folder), name)
    check(load(name, inside), name)
    (tmp_path / "packed").mkdir()
    archive = pack(folder, tmp_path / "packed" / f"{name}-{kind}.tar.gz")
    check(load(name, tmp_path / "packed"), name)
    check(load(name, archive), name)
    assert len(list(own_cache.iterdir())) == 1


def test_pickles_of_python_3(tmp_path):
    inside = write(tmp_path, "cifar-100", "python")
    for part, (images, labels) in zip(PARTS["cifar-100"], DATA["cifar-100"], strict=True):
        content = pickled("cifar-100", images, labels, lambda value: pickle.dumps(value, 2))
        assert b"_codecs" in content
        (inside / part).write_bytes(content)
    check(load("cifar-100", tmp_path), "cifar-100")


def test_classes_of_cifar_100():
    assert len(set(cifar.CLASSES100)) == 100
    assert list(cifar.CLASSES100) == sorted(cifar.CLASSES100)


def test_folder_of_images(picture_folder):
    folder, train, _ = picture_folder()
    dataset = load("cifar-10", folder)
    assert (dataset.name, dataset.classes) == ("cifar-10", ("cat", "dog"))
    np.testing.assert_array_equal(dataset.train.images, train)
    assert load("cifar-10", folder, size=8).shape == (8, 8, 3)


class Calls:
    """Something that a pickle would call."""

    def __init__(self, function, *arguments):
        self._state = function, arguments

    def __reduce__(self):
        return self._state


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Calls(os.mkdir, "made"), f"it names {os.mkdir.__module__}.mkdir"),
        (Calls(eval, "1"), "it names builtins.eval"),
        ({"data": [Calls(print, "x")]}, "it names builtins.print"),
        (Calls(np.load, "x"), "it names numpy.load"),
        (Calls(codecs.encode, "x", "rot13"), "encoding must be 'latin1', not 'rot13'"),
        ({"data": np.zeros(2, np.float32)}, "arrays must be uint8, not 'f4'"),
        ({"data": np.zeros(2, object)}, "arrays must be uint8, not 'O8'"),
    ],
)
def test_pickles_of_other_things(content, reason, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, "cifar-100", "python") / "train"
    path.write_bytes(pickle.dumps(content, 2).replace(b"c__builtin__", b"cbuiltins"))
    with refused(f"{path}: must be a pickle of arrays and plain values alone: {reason}"):
        load("cifar-100", tmp_path)
    assert not (tmp_path / "made").exists()


def test_wrong_size_of_an_array(tmp_path, refused):
    path = write(tmp_path, "cifar-100", "python") / "train"
    content = pickle.dumps({"data": np.zeros((2, 3), np.uint8)}, 2)
    path.write_bytes(content.replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86"))
    with refused(
        f"{path}: must be a pickle of arrays and plain values alone: 6 bytes do not make an array"
        " (2, 4)"
    ):
        load("cifar-100", tmp_path)


def nested(one, count):
    """Opcodes of a tuple that holds, `count` deep, what `one` makes of the tuple inside."""
    return b"".join([b"\x80\x02}", b")", one * count, b"K\x01s."])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        # Each tuple holds the one before twice: as many parts as 2 to the power of 100.
        (
            b"\x80\x02})" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(100)) + b"K\x01s.",
            "it holds a tuple twice",
        ),
        (b"\x80\x02}K\x00\x85" + b"2\x86" * 100 + b"K\x01s.", "it holds a tuple twice"),
        (nested(b"\x85", 10**6), "it holds more than 1000 tuples"),
        (
            b"\x80\x02}r\xff\xff\xff\x0f.",
            "it remembers its value 2 as number 268435455",
        ),
        (
            b"\x80\x04}\x8e" + (2**40).to_bytes(8, "little") + b"x.",
            "expected 1099511627776 bytes in a bytes8, but only 2 remain",
        ),
    ],
    ids=range(5),
)
def test_pickles_that_ask_for_much(content, reason, tmp_path, refused):
    path = write(tmp_path, "cifar-100", "python") / "train"
    path.write_bytes(content)
    with (
        at_most(2**23),
        refused(f"{path}: must be a pickle of arrays and plain values alone: {reason}"),
    ):
        load("cifar-100", tmp_path)


@pytest.mark.parametrize("shape", [(2**31,) * 1000, (2**62, (0,)), ((0,), 2**62), b"\0\1", (1.5,)])
def test_shapes_that_are_none(shape, tmp_path):
    path = write(tmp_path, "cifar-100", "python") / "train"
    content = pickle.dumps({"data": np.zeros(3, np.uint8)}, 2)
    own = pickle.dumps(shape, 2)[2:-1]
    assert content.count(b"K\x03\x85q") == 1
    path.write_bytes(content.replace(b"K\x03\x85", own))
    with at_most(2**20), pytest.raises(InputError) as caught:
        load("cifar-100", tmp_path)
    assert "must be a pickle of arrays and plain values alone: " in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_label_of_any_size(tmp_path, refused):
    path = write(tmp_path, "cifar-100", "python") / "train"
    content = {"data": np.zeros((1, 3072), np.uint8), "fine_labels": [10**5000]}
    path.write_bytes(pickle.dumps(content, 2))
    with refused(f"{path}: labels must be 0 to 99, not an integer of 16610 bits"):
        load("cifar-100", tmp_path)


@pytest.mark.parametrize(("kind", "name"), [("binary", "train.bin"), ("python", "train")])
def test_files_of_any_size(kind, name, tmp_path, refused):
    path = write(tmp_path, "cifar-100", kind) / name
    with path.open("wb") as file:
        file.truncate(10**12)
    with refused(f"{path}: must hold at most 1,073,741,824 bytes, not 1,000,000,000,000"):
        load("cifar-100", tmp_path)


def test_damaged_pickles(tmp_path):
    path = write(tmp_path, "cifar-100", "python") / "train"
    content = path.read_bytes()
    for damaged in (b"", content[:-1], content[:200], b"text", b"\x80\x02]K\x00a."):
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            load("cifar-100", tmp_path)
        message = str(caught.value)
        assert message.startswith(f"{path}: must be a pickle of ")
        assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "'data' must be an array (N, 3072), not NoneType"),
        ({"data": np.zeros((2, 5), np.uint8)}, "'data' must be an array (N, 3072), not (2, 5)"),
        ({"data": np.zeros((2, 3072), np.uint8)}, "'fine_labels' must be a list of integers"),
        (
            {"data": np.zeros((2, 3072), np.uint8), "fine_labels": [1, "a"]},
            "'fine_labels' must be a list of integers",
        ),
        (
            {"data": np.zeros((2, 3072), np.uint8), "fine_labels": [1]},
            "must have one label for each of 2 images, not 1",
        ),
        (
            {"data": np.zeros((2, 3072), np.uint8), "fine_labels": [1, 100]},
            "labels must be 0 to 99, not 100",
        ),
    ],
)
def test_content_of_pickles(content, message, tmp_path, refused):
    path = write(tmp_path, "cifar-100", "python") / "test"
    path.write_bytes(pickle.dumps(content, 2))
    with refused(f"{path}: {message}"):
        load("cifar-100", tmp_path)


def test_damaged_binary_files(tmp_path, refused):
    path = write(tmp_path, "cifar-10", "binary") / "data_batch_2.bin"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with refused(f"{path}: must be a multiple of 3073 bytes, not {3 * 3073 - 1}"):
        load("cifar-10", tmp_path)
    path.write_bytes(b"\x0a" + content[1:])
    with refused(f"{path}: labels must be 0 to 9, not 10"):
        load("cifar-10", tmp_path)
    path.write_bytes(b"")
    with refused(f"{path}: must have at least one image, not 0"):
        load("cifar-10", tmp_path)
    path.unlink()
    with refused(f"cannot read {path}: No such file or directory"):
        load("cifar-10", tmp_path)


def test_nothing_there(tmp_path, own_cache, refused):
    rule = (
        "must hold cifar-10-binary.tar.gz or cifar-10-python.tar.gz, cifar-10-batches-bin,"
        " cifar-10-batches-py, or train/CLASS/IMAGE, but"
    )
    hint = "is there; get it from https://www.cs.toronto.edu/~kriz or with --download"
    with refused(f"{tmp_path}: {rule} none of them {hint}"):
        load("cifar-10", tmp_path)
    with refused(f"{own_cache / 'cifar-10'}: {rule} no such folder {hint}"):
        load("cifar-10")


def test_archive_of_something_else(tmp_path, pack, refused):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    path = pack(tmp_path / "other", tmp_path / "cifar-10-python.tar.gz")
    with refused(f"{path}: must hold the files of cifar-10, not others"):
        load("cifar-10", tmp_path)


def test_size(tmp_path, refused):
    write(tmp_path, "cifar-10", "binary")
    check(load("cifar-10", tmp_path, size=32), "cifar-10")
    with refused("size is for folders of images; those of dataset 'cifar-10' are 32x32, not 16x20"):
        load("cifar-10", tmp_path, size=(16, 20))


def test_download(tmp_path, pack, server, monkeypatch, own_cache, refused):
    write(tmp_path / "source", "cifar-10", "binary")
    content = pack(tmp_path / "source", tmp_path / "archive.tar.gz").read_bytes()
    url, files, _ = server
    monkeypatch.setattr(cifar, "URL", url)
    files["/cifar-10-binary.tar.gz"] = content
    found = hashlib.md5(content).hexdigest()
    with refused(
        f"{url}/cifar-10-binary.tar.gz: must have md5 c32a1d4ab5d03f1284b67883e8d87530, not {found}"
    ):
        load("cifar-10", download=True)
    monkeypatch.setitem(cifar.VARIANTS, "cifar-10", replace(cifar.CIFAR10, md5=found))
    check(load("cifar-10", download=True), "cifar-10")
    files.clear()
    check(load("cifar-10", download=True), "cifar-10")
    assert [path.name for path in (own_cache / "cifar-10").iterdir()] == ["cifar-10-binary.tar.gz"]
