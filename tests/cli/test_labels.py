import numpy as np
import pytest

from hiddenite.cli.labels import load_labels

COMMANDS = [["infer"], ["simulate", "--config", "tiny"], ["run", "--port", "/dev/none"]]


def archive(path):
    with path.open("wb") as file:
        np.savez(file, np.zeros(3, int))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"no array", "must be a .npy file of numbers: "),
        (archive, "must be a .npy file of numbers: "),
        (
            # Says that there are 2**50.
            b"\x93NUMPY\x01\x00\x76\x00"
            + b"{'descr': '<i8', 'fortran_order': False, 'shape': (1125899906842624,)}".ljust(118),
            "must be a .npy file of numbers: mmap length is greater than file size",
        ),
        (np.zeros(4, int), "labels must be 3 integers, not int64 of shape (4,)"),
        (np.zeros((3, 1), np.uint8), "labels must be 3 integers, not uint8 of shape (3, 1)"),
        (np.zeros(3), "labels must be 3 integers, not float64 of shape (3,)"),
        (np.zeros(3, bool), "labels must be 3 integers, not bool of shape (3,)"),
        (np.array(["7", "2", "1"]), "labels must be 3 integers, not <U1 of shape (3,)"),
        (
            np.array([0, -1, 5]),
            "labels must be classes of network 'digits', 0 to 9, not -1 of image 1",
        ),
        (
            np.array([0, 9, 10], np.uint64),
            "labels must be classes of network 'digits', 0 to 9, not 10 of image 2",
        ),
    ],
)
def test_refused(refused, here, network_path, images_path, command, content, message):
    if isinstance(content, bytes):
        (here / "l.npy").write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save("l.npy", content)
    elif content is not None:
        content(here / "l.npy")
    before = list(here.iterdir())
    command, *options = command
    line = refused(command, network_path, images_path, *options, "--labels", "l.npy", "-o", "r.npy")
    assert line.startswith(f"l.npy: {message}")
    assert list(here.iterdir()) == before


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_labels_of_maps(refused, here, network, images_path, command):
    network.prefix("layer1.conv").save("n")
    np.save("l.npy", np.zeros(3, int))
    command, *options = command
    line = refused(command, "n", images_path, *options, "--labels", "l.npy")
    assert line == (
        "l.npy: labels are of no use: results of network 'digits' have 8 x 8 pixels, not one"
    )


def test_every_class_can_be_right(network, here):
    for dtype in (np.uint8, np.int64, ">i4"):
        np.save("l.npy", np.arange(10, dtype=dtype))
        assert load_labels("l.npy", network, 10).tolist() == list(range(10))
    assert load_labels(None, network, 10) is None
