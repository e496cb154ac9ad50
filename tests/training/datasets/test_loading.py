import pytest

pytest.importorskip("torch")

from hiddenite.training.datasets import NAMES, load


def test_names():
    assert NAMES == ("digits", "fashion-mnist", "cifar-10", "cifar-100")


def test_unknown_names(tmp_path, refused):
    for name in ("cifar", str(tmp_path / "missing")):
        with refused(
            "dataset must be digits, fashion-mnist, cifar-10, cifar-100, or a folder or a tar"
            f" archive of images, not {name!r}"
        ):
            load(name)


def test_unknown_folders(tmp_path, refused):
    path = tmp_path / "missing"
    rule = "must be a folder or a tar archive of images"
    with refused(f"{path}: {rule}, but there is nothing"):
        load("own", path)
    path.write_text("")
    with refused(f"{path}: {rule}, not another file"):
        load("own", path)


def test_archive_without_images(tmp_path, pack, refused):
    (tmp_path / "empty").mkdir()
    path = pack(tmp_path / "empty", tmp_path / "empty.tar.gz")
    with refused(f"{path}: must hold a folder train with one folder for each class"):
        load(path)


def test_digits_have_no_folder(tmp_path, refused):
    with refused(f"dataset 'digits' comes with scikit-learn, not in a folder: {tmp_path}"):
        load("digits", tmp_path)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "images: size must be at least 1, not 0"),
        ((8, -1), "images: size must be at least 1, not -1"),
        ((8, 8, 8), "images: size must be one or two integers, not (8, 8, 8)"),
        ("8", "images: size must be one or two integers, not '8'"),
    ],
)
def test_sizes(size, message, refused):
    with refused(message):
        load("digits", size=size)


def test_size_of_a_known_dataset(idx_folder, refused):
    folder, _ = idx_folder
    assert load("fashion-mnist", folder, size=6).shape == (6, 6, 1)
    with refused(
        "size is for folders of images; those of dataset 'fashion-mnist' are 6x6, not 8x8"
    ):
        load("fashion-mnist", folder, size=8)


def test_seeds(refused):
    with refused("digits: seed must be 0 to 4294967295, not -1"):
        load("digits", seed=-1)
