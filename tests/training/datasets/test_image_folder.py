import os
import sys
import zlib

import numpy as np
import pytest
from memory import at_most

from hiddenite.golden.errors import InputError

pytest.importorskip("torch")

from hiddenite.training.datasets import image_folder, load
from hiddenite.training.datasets.image_file import decode


@pytest.fixture
def in_files(monkeypatch):
    monkeypatch.setattr(image_folder, "IN_MEMORY", 0)


@pytest.mark.parametrize("test", ["test", "val"])
def test_in_memory(test, picture_folder):
    folder, train, other = picture_folder(test=test)
    calls = []
    dataset = load(folder, progress=lambda *call: calls.append(call))
    assert (dataset.name, dataset.classes) == ("pictures", ("cat", "dog"))
    assert dataset.shape == (4, 5, 3)
    np.testing.assert_array_equal(dataset.train.images, train)
    np.testing.assert_array_equal(dataset.test.images, other)
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.test.labels.tolist() == [0, 1]
    assert ("looking at images", 8, 8) in calls
    assert calls[-1] == ("decoding images", 8, 8)
    assert load("other", folder).name == "other"


def test_in_files(picture_folder, in_files):
    folder, train, other = picture_folder()
    dataset = load(folder)
    assert dataset.shape == (4, 5, 3)
    assert dataset.train.images is None
    assert len(dataset.train) == 6
    np.testing.assert_array_equal(dataset.train.batch(np.array([5, 0, 5])), train[[5, 0, 5]])
    np.testing.assert_array_equal(dataset.test.batch([1, 0]), other[[1, 0]])
    assert dataset.test.batch([]).shape == (0, 4, 5, 3)
    with pytest.raises(IndexError):
        dataset.test.batch([2])


def test_many_images_keep_their_order(tmp_path, save_image, in_files):
    for part in ("train", "test"):
        for number in range(300):
            pixels = np.full((1, 1), number % 256, np.uint8)
            save_image(tmp_path / part / "one" / f"{number:03}.bmp", pixels)
    batch = load(tmp_path).train.batch(np.arange(300)[::-1])
    assert batch[:, 0, 0, 0].tolist() == [number % 256 for number in range(300)][::-1]


def test_fingerprint_of_files(picture_folder, save_image, in_files):
    folder, _, _ = picture_folder()
    before = load(folder).fingerprint
    moved = folder.rename(folder.parent / "moved")
    assert load(moved).fingerprint == before
    dataset = load(moved)
    with open(moved / "train" / "cat" / "0.png", "ab") as file:
        file.write(b"more")
    changed = load(moved).fingerprint
    assert changed != before
    (moved / "train" / "cat" / "0.png").rename(moved / "train" / "cat" / "3.png")
    assert load(moved).fingerprint not in (before, changed)
    with pytest.raises(InputError, match=r"cannot read .*0\.png: No such file or directory"):
        dataset.fingerprint  # noqa: B018


def test_grey_only_if_all_are(picture_folder, save_image):
    folder, train, _ = picture_folder(shape=(4, 5))
    dataset = load(folder)
    assert dataset.shape == (4, 5, 1)
    np.testing.assert_array_equal(dataset.train.images, train)
    save_image(folder / "test" / "dog" / "1.png", np.zeros((4, 5, 3), np.uint8))
    dataset = load(folder)
    assert dataset.shape == (4, 5, 3)
    np.testing.assert_array_equal(dataset.train.images, train.repeat(3, axis=3))


def test_modes(tmp_path):
    image_module = pytest.importorskip(
        "PIL.Image", reason="modes of images are not tested: Pillow is not installed"
    )
    colour = image_module.new("RGB", (2, 2), (255, 0, 0))
    palette = colour.convert("P")
    for part in ("train", "test"):
        folder = tmp_path / part / "one"
        folder.mkdir(parents=True)
        colour.save(folder / "0.png")
        colour.convert("RGBA").save(folder / "1.PNG")
        palette.save(folder / "2.png", transparency=bytes([255] * 255 + [0]))
        colour.save(folder / "3.webp", lossless=True)
        colour.save(folder / "4.ppm")
        colour.convert("1").save(folder / "5.png")
        colour.convert("CMYK").save(folder / "6.jpg", quality=100)
    images = load(tmp_path).train.images.astype(int)
    assert images.shape == (7, 2, 2, 3)
    for number in (0, 1, 2, 3, 4):
        assert (images[number] == [255, 0, 0]).all()
    assert set(images[5].flat) <= {0, 255}
    assert (abs(images[6] - [255, 0, 0]) < 10).all()


@pytest.mark.parametrize("memory", [0, 2**30])
def test_size(memory, tmp_path, save_image, monkeypatch):
    monkeypatch.setattr(image_folder, "IN_MEMORY", memory)
    # Three bands of which the middle one is what remains of the wide image and of the high one.
    wide = np.repeat(np.array([10, 200, 60], np.uint8), 8)[np.newaxis].repeat(8, 0)
    for part in ("train", "test"):
        save_image(tmp_path / part / "a" / "wide.png", wide)
        save_image(tmp_path / part / "b" / "high.png", wide.T.copy())
        save_image(tmp_path / part / "c" / "small.png", np.full((2, 2), 50, np.uint8))
    dataset = load(tmp_path, size=8)
    assert dataset.shape == (8, 8, 1)
    images = dataset.train.batch([0, 1, 2])
    assert (images[:2] == 200).all()
    assert (images[2] == 50).all()
    assert load(tmp_path, size=(4, 6)).shape == (4, 6, 1)


def test_shorter_side_fits(tmp_path, save_image):
    ramp = np.arange(0, 240, 2, dtype=np.uint8)[np.newaxis].repeat(20, 0)
    for part in ("train", "test"):
        save_image(tmp_path / part / "a" / "0.png", ramp)
    image = load(tmp_path, size=(10, 60)).train.images[0, :, :, 0]
    assert image.shape == (10, 60)
    np.testing.assert_allclose(image[5], np.arange(60) * 4 + 1, atol=2)


def test_any_size_to_any_size(tmp_path, save_image):
    rng = np.random.default_rng(4)
    path = tmp_path / "0.bmp"
    for height, width, *size in rng.integers(1, 100, (200, 4)).tolist():
        save_image(path, np.full((height, width), 7, np.uint8))
        assert (decode(path, (*size, 1), resize=True) == 7).all()


@pytest.mark.parametrize(
    ("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tar.xz", "w:xz")]
)
def test_archive(suffix, mode, tmp_path, picture_folder, pack):
    folder, train, _ = picture_folder(name="outer/pictures")
    for inside, name in ((folder, "flat"), (folder.parent, "nested")):
        dataset = load(pack(inside, tmp_path / f"{name}{suffix}", mode))
        assert dataset.name == name
        np.testing.assert_array_equal(dataset.train.images, train)


def test_other_files_do_not_matter(picture_folder):
    folder, train, _ = picture_folder()
    (folder / "train" / "cat" / "notes.txt").write_text("")
    (folder / "train" / "cat" / "._0.png").write_text("")
    (folder / "train" / ".hidden").mkdir()
    np.testing.assert_array_equal(load(folder).train.images, train)


def test_missing_folders(tmp_path, refused):
    with refused(f"{tmp_path}: must hold a folder train with one folder for each class, not that"):
        load(tmp_path)
    (tmp_path / "train").mkdir()
    with refused(
        f"{tmp_path}: must hold a folder test or val with one folder for each class, not that"
    ):
        load(tmp_path)
    (tmp_path / "test").mkdir()
    with refused(f"{tmp_path / 'train'}: must hold one folder for each class, not none"):
        load(tmp_path)
    (tmp_path / "train" / "cat").mkdir()
    (tmp_path / "test" / "cat").mkdir()
    with refused(
        f"{tmp_path / 'train' / 'cat'}: must hold at least one image"
        " (.jpg, .jpeg, .png, .ppm, .bmp, .webp), not none"
    ):
        load(tmp_path)


def test_classes_differ(picture_folder, refused):
    folder, _, _ = picture_folder()
    (folder / "test" / "cow").mkdir()
    with refused(f"{folder / 'test'}: must have the classes of train, but 'cow' is only here"):
        load(folder)
    (folder / "train" / "cow").mkdir()
    (folder / "train" / "bird").mkdir()
    with refused(f"{folder / 'test'}: must have the classes of train, but 'bird' is missing"):
        load(folder)


def test_sizes_differ(picture_folder, save_image, refused):
    folder, _, _ = picture_folder()
    first = folder / "train" / "cat" / "2.png"
    for path in (first, folder / "test" / "dog" / "0.png"):
        save_image(path, np.zeros((7, 6, 3), np.uint8))
    with refused(
        f"image {first}: must be 4x5, like train/cat/0.png, not 7x6; give a size to resize"
        " images to"
    ):
        load(folder)


def test_images_that_cannot_be_decoded(picture_folder, in_files):
    folder, _, _ = picture_folder(shape=(40, 40, 3))
    dataset = load(folder)
    path = folder / "train" / "dog" / "1.png"
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damaged in (b"", b"text", whole[:20], whole[:middle], flipped):
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            dataset.train.batch([0, 4])
        assert str(caught.value).startswith(f"image {path}: cannot be decoded: ")
        assert "\n" not in str(caught.value)
    path.write_bytes(b"text")
    with pytest.raises(InputError, match=r"1\.png: cannot be decoded: cannot identify image file"):
        load(folder)


def test_image_that_changed_its_size(picture_folder, save_image, in_files, refused):
    folder, _, _ = picture_folder()
    dataset = load(folder)
    path = folder / "test" / "cat" / "0.png"
    save_image(path, np.zeros((4, 4, 3), np.uint8))
    with refused(f"image {path}: must be 4x5, not 4x4"):
        dataset.test.batch([0])


def test_more_than_8_bits(picture_folder, save_image, refused):
    folder, _, _ = picture_folder()
    path = folder / "test" / "cat" / "0.png"
    save_image(path, np.full((4, 5), 1000, np.uint16))
    with refused(f"image {path}: must have 8 bits a channel, not mode I;16"):
        load(folder)


def test_folder_that_cannot_be_read(picture_folder, refused):
    folder, _, _ = picture_folder()
    if os.geteuid() == 0:
        pytest.skip("folders without permission are not tested: root can read them")
    (folder / "train").chmod(0)
    try:
        with refused(f"cannot read {folder / 'train'}: Permission denied"):
            load(folder)
    finally:
        (folder / "train").chmod(0o755)


# Pillow itself warns of the second and refuses the third.
@pytest.mark.parametrize("size", [(8193, 8192), (10_000, 10_000), (60_000, 60_000)])
def test_images_of_any_size(size, picture_folder):
    folder, *_ = picture_folder()
    path = folder / "train" / "cat" / "1.png"
    content = path.read_bytes()
    header = content[12:16] + size[1].to_bytes(4, "big") + size[0].to_bytes(4, "big")
    header += content[24:29]
    path.write_bytes(content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:])
    with at_most(2**24), pytest.raises(InputError) as caught:
        load(folder)
    line = str(caught.value)
    assert line.startswith(f"image {path}: ") and "\n" not in line
    if size != (60_000, 60_000):
        assert line == (
            f"image {path}: must have at most 67,108,864 pixels, not {size[0]:,}x{size[1]:,}"
        )


def test_without_pillow(picture_folder, monkeypatch, refused):
    folder, _, _ = picture_folder()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with refused(
        "folders of images must have Pillow, which `pip install hiddenite[train]` installs"
    ):
        load(folder)
